"""The scripts of one generation of the client: made from its number, so that any two really differ.

Every stage of the orders flow is wrapped; what is around it (steps, their names and number, an extra
effect, modules that exist for one generation only) changes with the number, as do mapping, settings,
retry and connections.
"""

STAGES = ("fetch", "validate", "map", "post", "confirm", "acknowledge")
SOFORT = '        sofort = {type = 2, status = "paid", account_name = "PayPal"},\n'


def has_sofort(number):
    return number % 8 >= 5


def has_effect(number):
    return number % 3 != 1


def steps_of(number, stage):
    """Names of the steps before a stage: renamed, more and fewer from one generation to the next."""
    count = (number + STAGES.index(stage)) % 4
    return [f"{stage} {'extra' if (number + i) % 2 else 'more'} {number // 2} {i}" for i in range(count)]


def stage(number, name):
    lines = [f"-- Stage {name} of generation {number}.",
             f'local early = require("flows.early_{number}")', "",
             "return function(work, standard)"]
    for step in steps_of(number, name):
        lines.append(f'    work.job:step("{step}", function() return early end)')
    if name == "fetch":
        lines.append('    work.job:sleep("nap", 30)')
    # Required by those only who come here: its file is long gone when an older run does.
    lines.append(f'    assert(require("flows.late_{number}").number == early)')
    if name == "confirm" and has_effect(number):
        lines += ['    work.job:effect({connection = work.khaos.connection, name = "greet",',
                  '        key = work.key, class = "dedupes",',
                  '        request = work.khaos:request("GetVersion", {}),',
                  '        read = function(answer) return {status = answer.status} end})']
    lines += ["    return standard(work)", "end", ""]
    return "\n".join(lines)


WAITER = """--- Jobs that wait: asleep, for an event, or for an effect whose outcome nobody can say.
local json = require("neap.json")
local khaos_client = require("connectors.khaos_soap.client")
local errors = require("neap.errors")
local store = require("neap.store")

local NUMBER = {number}

local ways = {{}}

function ways.sleep(job)
    job:step("before {number}", function() return NUMBER end)
    job:sleep("long", 4000)
    job:step("after {number}", function() return NUMBER end)
end

function ways.await(job)
    job:step("before {number}", function() return NUMBER end)
    job:await({{name = "news", events = {{"news"}}}})
    job:step("after {number}", function() return NUMBER end)
end

function ways.hold(job)
    if job:overtaken("news") then
        return
    end
    job:hold({{{{cause = "a_person", subject = job.key, message = "A person must say so", recheck = "manual"}}}})
end

function ways.leave(job)
    if not {reaches} then
        return
    end
    local khaos = khaos_client.new(job.settings.khaos)
    errors.check(job:effect({{connection = "khaos", name = "leave", key = job.key, class = "lookup",
        request = khaos:request("GetSaleSource", {{}}),
        read = function(answer) return {{status = answer.status}} end,
        lookup = function()
            if {knows} then
                return "found", {{status = 200}}
            end
            return nil, errors.new({{kind = "remote", retryable = true, message = "nobody can say"}})
        end}}))
end

local function run(job)
    local way = ways[job.event.name]
    if way then
        way(job)
        local times = store.get("ended", job.key) or 0
        store.put("ended", job.key, times + 1)
    end
end

local function accept(name, class)
    return function(_, request)
        return {{status = 202, events = {{{{source = name, id = request.query.id, key = "wait:" .. request.query.id,
            name = request.query.name or name, class = class}}}}}}
    end
end

return {{
    name = "waiter",
    version = NUMBER,
    run = run,
    schema = {{type = "record", fields = {{khaos = khaos_client.schema()}}}},
    triggers = {{
        {{kind = "route", name = "wait", method = "POST", path = "/wait", handle = accept("wait", "queued")}},
        {{kind = "route", name = "news", method = "POST", path = "/news", handle = accept("news", "overtaking")}},
        {{kind = "route", name = "number", method = "GET", path = "/number", handle = function()
            return {{status = 200, body = tostring(NUMBER)}}
        end}},
        {{kind = "route", name = "ended", method = "GET", path = "/ended", handle = function(_, request)
            return {{status = 200, body = json.encode(store.get("ended", "wait:" .. request.query.id) or 0)}}
        end}},
    }},
}}
"""


def waiter(number, reaches, knows):
    return WAITER.format(number=number, reaches=str(reaches).lower(), knows=str(knows).lower())


def manifest(original, number):
    """The tests' client with this generation's stages, retry, settings and connections."""
    stages = ", ".join(f'{name} = "flows.stage_{name}"' for name in STAGES)
    changes = [
        ("                refund_id_path = \"payload.refund.id\",\n                mappings",
         f"                refund_id_path = \"payload.refund.id\",\n                stages = {{{stages}}},\n                mappings"),
        ("        mirror = {\n", '        waiter = {use = "flows.waiter", settings = {khaos = {connection = "khaos", zone = "Europe/London"}}},\n        mirror = {\n'),
        ("initial_ms = 50", f"initial_ms = {30 + number % 5 * 20}"),
        ("fault_wait_ms = 100", f"fault_wait_ms = {60 + number % 3 * 40}"),
        ('number("CONCURRENT", 4)', str(3 + number // 4 % 2)),
    ]
    text = original
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text + f"-- generation {number}\n"


def files(original, payments, number, reaches=True, knows=False):
    """name -> content of everything that this generation consists of; None: a file that goes away."""
    made = {f"flows/stage_{name}.lua": stage(number, name) for name in STAGES}
    made[f"flows/early_{number}.lua"] = f"return {number}\n"
    made[f"flows/late_{number}.lua"] = f"return {{number = {number}}}\n"
    made["flows/waiter.lua"] = waiter(number, reaches, knows)
    made["mappings/payments.lua"] = payments.replace(
        "    methods = {\n", "    methods = {\n" + (SOFORT if has_sofort(number) else ""))
    made["client.lua"] = manifest(original, number)
    if number > 1:
        made[f"flows/early_{number - 1}.lua"] = None
        made[f"flows/late_{number - 1}.lua"] = None
    return made


def broken(made, which, number):
    """The generation with one mistake: (file, its text, what the report must say)."""
    payments = made["mappings/payments.lua"]
    client = made["client.lua"]
    line = made["flows/stage_map.lua"].count("\n") + 1
    kinds = [
        ("flows/stage_map.lua", made["flows/stage_map.lua"] + "return {\n", f"flows/stage_map.lua:{line}:"),
        ("flows/stage_post.lua", 'local x\nlocal y = x.field\nreturn y\n', "flows/stage_post.lua:2:"),
        ("client.lua", client.replace("live_from", "live_form"), "live_form"),
        ("mappings/payments.lua", payments.replace("type = 3", 'type = "three"'), "mappings/payments.lua:"),
        ("mappings/companies.lua", None, "mappings/companies.lua:"),
        ("flows/stage_fetch.lua", 'return require("flows.early_none")\n', "flows/stage_fetch.lua:1:"),
        ("flows/stage_confirm.lua", "\nwhile true do end\n", "flows/stage_confirm.lua:2:"),
    ]
    return kinds[which % len(kinds)]
