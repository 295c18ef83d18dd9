/* Which operation a SOAP request calls, and what must not pass for one. */
#include "core/net/soap_operation.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/xalloc.h"
#include "tests/support/tap.h"

#define HEAD                                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SOAP-ENV:Envelope "                              \
    "xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\"><SOAP-ENV:Body "                 \
    "SOAP-ENV:encodingStyle=\"x\">"
#define TAIL "</SOAP-ENV:Body></SOAP-ENV:Envelope>"

static void test_reads(void)
{
    static const struct {
        const char *text;
        const char *name; /* NULL: refused */
    } cases[] = {
        {HEAD "<NS1:GetVersion xmlns:NS1=\"urn:x\"></NS1:GetVersion>" TAIL, "GetVersion"},
        {HEAD
         "<NS1:ExportStock xmlns:NS1=\"u\"><StockCode xsi:type=\"xsd:string\">A&lt;B</StockCode>"
         "</NS1:ExportStock>" TAIL,
         "ExportStock"},
        {"<Envelope> <Body> <GetVersion ></GetVersion > </Body> </Envelope>\n", "GetVersion"},
        {"<?xml version='1.0' encoding = 'utf-8'?><Envelope><Body><A></A></Body></Envelope>", "A"},
        {"<?xml version=\"1.0\"?><Envelope><Body><A></A></Body></Envelope>", "A"},
        /* bytes that are another text to who believes the declaration */
        {"<?xml version=\"1.0\" encoding=\"UTF-7\"?><Envelope><Body><A></A></Body></Envelope>",
         NULL},
        {"<?xml version=\"1.0\" encoding='UTF-8-X'?><Envelope><Body><A></A></Body></Envelope>",
         NULL},
        {"<?xml encoding=\"UTF-8\" encoding=\"UTF-7\"?><Envelope><Body><A></A></Body></Envelope>",
         NULL},
        /* a second child, before or behind */
        {HEAD "<GetVersion></GetVersion><ImportOrders></ImportOrders>" TAIL, NULL},
        {HEAD "<GetVersion/><ImportOrders></ImportOrders>" TAIL, NULL},
        /* an operation that ends early, the rest passing for parameters */
        {HEAD "<GetVersion></GetVersion><x></x></GetVersion>" TAIL, NULL},
        {HEAD "<N:GetVersion></N:GetVersion><ImportOrders><N:GetVersion></N:GetVersion>" TAIL,
         NULL},
        /* what another reader may skip or read otherwise */
        {HEAD "<!-- <GetVersion> --><ImportOrders></ImportOrders>" TAIL, NULL},
        {HEAD "<GetVersion><![CDATA[</GetVersion>]]></GetVersion>" TAIL, NULL},
        {HEAD "<GetVersion><?php x?></GetVersion>" TAIL, NULL},
        {"<!DOCTYPE a [<!ENTITY b \"c\">]>" HEAD "<GetVersion></GetVersion>" TAIL, NULL},
        {"<Envelope><Header><a></a></Header><Body><GetVersion></GetVersion></Body></Envelope>",
         NULL},
        {"<Envelope x='<Body>'><Body><GetVersion></GetVersion></Body></Envelope>", NULL},
        {HEAD "<GetVersion></GetVersion>" TAIL "<ImportOrders/>", NULL},
        {HEAD "<GetVersion></GetVersion></SOAP-ENV:Body>", NULL},
        {HEAD "GetVersion" TAIL, NULL},
        {HEAD TAIL, NULL},
        {"<Body><GetVersion></GetVersion></Body>", NULL},
        {"GetVersion", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes name = {NULL, 0};
        bool is_good = soap_operation(bytes_str(cases[i].text), &name);
        if (is_good != (cases[i].name != NULL)) {
            printf("# %s\n", cases[i].text);
        }
        CHECK(is_good == (cases[i].name != NULL));
        if (is_good && cases[i].name != NULL) {
            char *text = xstrndup(name.data, name.size);
            CHECK_STR(text, cases[i].name);
            free(text);
        }
    }
}

static void test_cut_anywhere(void)
{
    static const char whole[] = HEAD "<N:GetVersion a=\"b\"><p>1</p></N:GetVersion>" TAIL;
    struct bytes name;
    CHECK(soap_operation(bytes_str(whole), &name));
    for (size_t size = 0; size < sizeof(whole) - 1; size++) {
        char *cut = xstrndup(whole, size); /* of its own, so that reading behind it is seen */
        CHECK(!soap_operation(bytes_of(cut, size), &name));
        free(cut);
    }
}

int main(void)
{
    tap_case("one operation in one envelope has a name, everything else has none", test_reads);
    tap_case("a request that was cut off has none, wherever that was", test_cut_anywhere);
    return tap_done();
}
