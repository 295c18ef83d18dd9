/* neap.xml: what is read, what is refused, what is written. */
#include "tests/support/lua_values.h"

static void parsing_gives_plain_nodes(void)
{
    static const struct lua_case cases[] = {
        {"n.name, n.prefix, #n, n.attrs.xmlns", "Env|s|1|nil"},
        {"n[1].attrs.a, n[1].attrs['xsi:type'], next(n.attrs)", "1|q|nil"},
        {"n[1].text, n[1][1].text", "t1t2|x&<y>"},
        {"xml.value(n, 'Body/B'), xml.value(n, 'Body/C'), xml.value(n, 'Body/B/C')",
         "x&<y>|nil|nil"},
        {"xml.value(n[1][2], ''), xml.value(n[1][1], '')", "nil|x&<y>"},
        {"#xml.children(n[1], 'B'), #xml.children(n[1]), #xml.children(n[1], 'Z')", "2|2|0"},
        {"xml.child(n[1], 'B') == n[1][1], xml.child(n, 'B')", "true|nil"},
        {"xml.parse('<a/>').text, #xml.parse('<a/>'), xml.parse('<a/>').prefix", "|0|nil"},
        {"xml.parse('<q:a/>').prefix", "q"},
        {"xml.parse(\"<?xml version='1.0' encoding='ISO-8859-1'?><a>\\233</a>\").text", "\xc3\xa9"},
        {"xml.parse('\\255\\254<\\0a\\0>\\0\\233\\0<\\0/\\0a\\0>\\0').text", "\xc3\xa9"},
        {"xml.parse('<a>&#x20AC;&#10;</a>').text", "\xe2\x82\xac\n"},
        {"#xml.parse('<a>' .. ('<b>x</b>'):rep(5000) .. '</a>')", "5000"},
        {"#xml.parse('<a>' .. ('text '):rep(500000) .. '</a>').text", "2500000"},
        {NULL, NULL},
    };
    values_check("n = xml.parse('<?xml version=\"1.0\"?><s:Env xmlns:s=\"u\" xmlns=\"y\">"
                 "<s:Body a=\"1\" xsi:type=\"q\">t1<B>x&amp;<![CDATA[<y>]]></B>t2"
                 "<B xsi:nil=\"true\">no</B></s:Body></s:Env>')",
                 cases);
}

static void bad_documents_are_error_values(void)
{
    static const struct lua_case cases[] = {
        {"xml.parse('')", "nil|invalid: XML: no element found at line 1"},
        {"xml.parse('<a>\\n<b>')", "nil|invalid: XML: no element found at line 2"},
        {"xml.parse('<a></b>')", "nil|invalid: XML: mismatched tag at line 1"},
        {"xml.parse('<a/><b/>')", "nil|invalid: XML: junk after document element at line 1"},
        {"xml.parse('<a>&x;</a>')", "nil|invalid: XML: undefined entity at line 1"},
        {"xml.parse('<a>\\255</a>')",
         "nil|invalid: XML: not well-formed (invalid token) at line 1"},
        {"xml.parse('<a>\\1</a>')", "nil|invalid: XML: not well-formed (invalid token) at line 1"},
        {"xml.parse('<a x=\"1\" x=\"2\"/>')", "nil|invalid: XML: duplicate attribute at line 1"},
        {"xml.parse('<!DOCTYPE a><a/>')",
         "nil|invalid: XML: a document type is not accepted at line 1"},
        {"xml.parse('<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>')",
         "nil|invalid: XML: a document type is not accepted at line 1"},
        {"xml.parse(('<a>'):rep(33) .. ('</a>'):rep(33))",
         "nil|limit: XML: too many levels at line 1"},
        {"xml.parse('<a><b/></a>', {max_depth = 1})", "nil|limit: XML: too many levels at line 1"},
        {"xml.parse('<a x=\"1\" y=\"2\"/>', {max_nodes = 2})",
         "nil|limit: XML: too many elements and attributes at line 1"},
        {"xml.parse('<a/>', {max_bytes = 3})", "nil|limit: XML: 4 bytes, at most 3 allowed"},
        {"xml.parse('<a/>', {depth = 3})",
         "raised: unknown option \"depth\"; known: max_depth, max_bytes, max_nodes"},
        {NULL, NULL},
    };
    values_check(NULL, cases);
}

static void writing_escapes(void)
{
    static const struct lua_case cases[] = {
        {"xml.encode(e('s:A', {b = '1\\n\"', a = 2, ['xmlns:s'] = 'u'}))",
         "<s:A a=\"2\" b=\"1&#10;&quot;\" xmlns:s=\"u\"/>"},
        {"xml.encode(e('A', nil, {e('Q', nil, money.decimal('1.50')), e('I', nil, 5), e('T', nil, "
         "true)}))",
         "<A><Q>1.50</Q><I>5</I><T>true</T></A>"},
        {"xml.encode(e('A', nil, 'a<b>&\"\\r\\t'))", "<A>a&lt;b&gt;&amp;&quot;&#13;\t</A>"},
        {"xml.encode(e('A'), {declaration = true})",
         "<?xml version=\"1.0\" encoding=\"UTF-8\"?><A/>"},
        {"xml.encode{name = 'C', cdata = true, text = 'a]]>b<'}",
         "<C><![CDATA[a]]]]><![CDATA[>b<]]></C>"},
        {"xml.parse(xml.encode{name = 'C', cdata = true, text = ']]>]]>'}).text", "]]>]]>"},
        {"xml.parse(xml.encode(e('A', {x = all}, all))).text == all", "true"},
        {"xml.parse(xml.encode(e('A', {x = all}, all))).attrs.x == all", "true"},
        {"xml.escape('<&>\"\\'')", "&lt;&amp;&gt;&quot;'"},
        {"xml.escape('')", ""},
        {"xml.clean('a\\1b\\255c\\xef\\xbf\\xbfd\xc3\xa9')", "abcd\xc3\xa9|5"},
        {"xml.clean('')", "|0"},
        {NULL, NULL},
    };
    values_check("e = xml.element all = 'a\\t\\n\\r<>&\"\\'\xe2\x82\xac'", cases);
}

static void misuse_raises(void)
{
    static const struct lua_case cases[] = {
        {"xml.encode(e('A', nil, 'x\\1'))",
         "raised: xml: A holds a character XML cannot, at byte 2 (see xml.clean)"},
        {"xml.encode(e('A', {b = '\\255'}))",
         "raised: xml: b holds a character XML cannot, at byte 1 (see xml.clean)"},
        {"xml.escape('\\0')",
         "raised: xml: the text holds a character XML cannot, at byte 1 (see xml.clean)"},
        {"(pcall(e, '1a'))", "false"},
        {"(pcall(e, 'a:b:c'))", "false"},
        {"(pcall(e, ''))", "false"},
        {"(pcall(e, 'a b'))", "false"},
        {"e('a', nil, 1.5)",
         "raised: xml: a: text, integer, boolean or decimal expected, got a float"},
        {"e('a', {b = {}})",
         "raised: xml: b: text, integer, boolean or decimal expected, got table"},
        {"e('a', nil, {'text'})", "raised: xml: child 1 of a is a string, not a node"},
        {"xml.encode{}", "raised: xml: a node without a name"},
        {"xml.encode{name = 5}", "raised: xml: node.name is a number, string expected"},
        {"xml.encode{name = 'a><b'}", "raised: xml: \"a><b\" is not an XML name"},
        {"xml.encode{name = 'a', attrs = {['b c'] = 1}}",
         "raised: xml: \"b c\" is not the name of an attribute"},
        {"xml.encode{name = 'a', 'text'}", "raised: xml: a node is a table, got string"},
        {"xml.encode(loop)", "raised: xml: too many levels, or a node that contains itself"},
        {NULL, NULL},
    };
    values_check("e = xml.element loop = {name = 'a'} loop[1] = loop", cases);
}

static void records_come_piece_by_piece(void)
{
    static const struct lua_case cases[] = {
        {"all('<r><i><A>1</A><B>x&amp;y</B></i><i><A>2</A></i></r>')", "A=1,B=x&y;A=2;"},
        {"all('<r><Count>2</Count><L><i><A>1</A></i><i><A/></i></L></r>')", "A=1;Count=2;"},
        {"all('<r><L><i href=\"#1\"/></L><x:T id=\"1\"><x:A>1</x:A><N><D>d</D></N><Z>z</Z>"
         "</x:T></r>')",
         "A=1,Z=z;"},
        {"all('<r>\\n <i>\\n <A>1</A>\\n between <B>2</B>\\n</i>\\n</r>')", "A=1,B=2;"},
        {"all('<A>1</A>')", ""},
        {"#all('<r>' .. ('<i><A>1</A><B>' .. ('b'):rep(90) .. '</B></i>'):rep(5000) .. '</r>')",
         "485000"},
        {"all('<r><i><A>1</A></i>')", "invalid: XML: no element found at line 1"},
        {"all('<!DOCTYPE r><r/>')", "invalid: XML: a document type is not accepted at line 1"},
        {"all(('<a>'):rep(33))", "limit: XML: too many levels at line 1"},
        {"all('<r><A>' .. ('x'):rep(1100000) .. '</A></r>')",
         "limit: XML: text too large at line 1"},
        {"xml.records('<r/>', {})", "raised: bad argument #2 to 'records' (1 to 8 names expected)"},
        {"xml.records(1, {'A'})",
         "raised: bad argument #1 to 'records' (string expected, got number)"},
        {NULL, NULL},
    };
    values_check("all = function(text)\n"
                 "    local records, out = xml.records(text, {'A', 'Count'}), {}\n"
                 "    while true do\n"
                 "        local list, err = records:read(3)\n"
                 "        if not list then return table.concat(out) .. tostring(err) end\n"
                 "        if #list == 0 then return table.concat(out) end\n"
                 "        for _, record in ipairs(list) do\n"
                 "            local parts = {}\n"
                 "            for name, value in pairs(record) do\n"
                 "                parts[#parts + 1] = name .. '=' .. value\n"
                 "            end\n"
                 "            table.sort(parts)\n"
                 "            out[#out + 1] = table.concat(parts, ',') .. ';'\n"
                 "        end\n"
                 "    end\n"
                 "end",
                 cases);
}

static void memory_failures_stay_errors(void)
{
    values_torture("local n = xml.parse('<a x=\"1\">t<b>2</b>u<c/></a>')\n"
                   "local text = xml.encode(n, {declaration = true})\n"
                   "assert(xml.value(xml.parse(text), 'b') == '2' and xml.escape('<') == '&lt;')\n"
                   "assert(xml.records(text, {'b'}):read(9)[1].b == '2')");
}

int main(void)
{
    tap_case("parsing gives plain nodes", parsing_gives_plain_nodes);
    tap_case("bad documents give an error with the line", bad_documents_are_error_values);
    tap_case("writing escapes and comes back the same", writing_escapes);
    tap_case("misuse raises and says where", misuse_raises);
    tap_case("records come piece by piece", records_come_piece_by_piece);
    tap_case("memory running out anywhere stays a memory error", memory_failures_stay_errors);
    return tap_done();
}
