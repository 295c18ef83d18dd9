---@meta flow
error("this file describes flows and manifests to editors; a flow file returns such a table")

--- A flow: one business process between connectors. No work at file level.
---@class neap.Flow
---@field name string
---@field version integer
---@field schema table|nil of its settings, see lib.schema
---@field triggers neap.Trigger[]|nil
---@field stages table<string, function>|nil named parts a client may replace one at a time
---@field run fun(job: neap.Job)|nil called for every event of this flow, schedule ticks too
---@field selftest fun(settings: table)|nil raises when the settings cannot work; run at load
---@field report (fun(settings: table, client: neap.FlowSurroundings): string[])|nil what the settings mean for
---   people; `neap check` prints it, and a line that begins with "warning: " as a warning
---@field rehearse (fun(settings: table, case: table, client: neap.FlowSurroundings): neap.Rehearsed)|nil what the
---   flow would do with a golden case, reaching nothing outside; see scripts/lib/golden.lua
---@field cases table<string, table>|nil schema nodes of the fields of such a case, see lib.schema

--- What comes of a golden case: an order as it would be posted, or what is told to whom and what a person is asked.
---@class neap.Rehearsed
---@field posted table|nil
---@field told table[]|nil in order
---@field held string[]|nil "cause:subject"
---@field line string|nil of products: "soap", "cloud"

--- What a flow's report and its rehearsal see of the client around it.
---@class neap.FlowSurroundings
---@field owners table<string, string> cause -> owner, as the manifest says
---@field schedules table<string, {every_ms: integer|nil, cron: string|nil}> the flow's own, as they run
---@field flows table<string, table> settings of every flow of the client, by its name in the manifest

---@alias neap.Trigger neap.Route|neap.ScheduleTrigger|neap.ActTrigger

---@class neap.Route
---@field kind "route"
---@field name string
---@field method string
---@field path string below "/<client>": "/scayle/delegation"; "{id}" matches one segment
---@field auth string|nil name in the manifest's `auth`; nil: open
---@field max_body_bytes integer|nil default 1 MiB, at most 64 MiB; above: 413
---@field answer_within_ms integer|nil the job may answer (job:answer) until then, else the reply below is sent
---@field handle fun(ctx: neap.Context, request: neap.ServerRequest): neap.Reply runs as one atomic slice: it
---   may use neap.store, it cannot wait. When it raises: 500, nothing is kept

---@class neap.ScheduleTrigger
---@field kind "schedule"
---@field name string ticks arrive in run as event "schedule.<name>", key "schedule:<flow>.<name>"
---@field every_ms integer|nil
---@field cron string|nil "*/5 8-18 * * 1-5"
---@field zone string|nil IANA name for cron, default the manifest's `zone`
---@field on_exception boolean|nil due also within a second of an exception being opened

--- A person released or dismissed an exception that jobs of this flow waited on: an overtaking event
--- "released.<cause>" or "dismissed.<cause>" on the key of each such job, payload {by, cause, reason,
--- subject}. A dismissal that finds no open job of the key starts one.
---@class neap.ActTrigger
---@field kind "act"

---@class neap.Context
---@field client string
---@field flow string
---@field live_from_ms integer nothing older than this may be posted
---@field settings table

---@class neap.ServerRequest
---@field method string
---@field path string below "/<client>", percent-decoded
---@field params table<string, string>
---@field query table<string, string>
---@field headers table<string, string> names in lower case
---@field body string
---@field peer string

---@class neap.Reply
---@field status integer
---@field headers table<string, string>|nil
---@field body string|nil
---@field events neap.NewEvent[]|nil accepted durably before the answer leaves. When the first was accepted
---   before, nothing is kept and the answer is the one given then, to the byte
---@field delay_ms integer|nil hold the answer back
---@field rude "reset"|"close"|"truncate"|nil end the connection instead (clients with `sandbox = true` only)

--- A client's manifest: the table that client.lua returns. While it loads, two functions are there:
--- secret("NAME") (environment or secrets folder; never readable by scripts) and var("NAME", default)
--- (from --set NAME=VALUE or the environment variable NEAP_NAME).
---@class neap.Manifest
---@field name string letters, digits, "-" and "_"; also the first path segment of its routes
---@field live_from string ISO 8601 instant with zone; nothing older is ever posted
---@field zone string|nil IANA name for times shown and for cron schedules that name none, default "UTC"
---@field sandbox boolean|nil may answer rudely; never set it on a real client
---@field connections table<string, neap.ConnectionOptions>|nil
---@field auth table<string, {user: string, password: any}>|nil for routes: HTTP Basic. The password is
---   secret("NAME"): a text is refused, but for clients with `sandbox = true`
---@field owners table<string, string>|nil cause -> owner; "default" for the rest
---@field retry neap.RetryPolicy|nil default for all flows
---@field retention neap.Retention|nil how long the store keeps what
---@field limits neap.Limits|nil of its scripts, when they are to be lower than the host's
---@field flows table<string, neap.FlowUse>

---@class neap.Limits
---@field memory_mb integer|nil default 256, at least 16
---@field run_ms integer|nil CPU time of one run of a job, default 60,000, at least 100

---@class neap.FlowUse
---@field use string module name: "flows.orders"
---@field settings table|nil checked against the flow's schema
---@field retry neap.RetryPolicy|nil
---@field schedules table<string, neap.Timing>|nil other times for the flow's schedules, by their name

---@class neap.Timing
---@field every_ms integer|nil
---@field cron string|nil
---@field zone string|nil IANA name for cron, default the manifest's `zone`

---@class neap.RetryPolicy
---@field initial_ms integer|nil default 1,000
---@field factor number|nil default 2
---@field max_ms integer|nil default 300,000
---@field give_up_ms integer|nil default 172,800,000 (48 h), not counting time while a connection is down

--- Days. Open jobs, the ledger of effects, what was accepted before, links and the audit chain are kept for ever.
---@class neap.Retention
---@field payload_days integer|nil default 400: payloads of events, requests and answers of effects
---@field timeline_days integer|nil default 400
---@field trail_days integer|nil default 2,600: penny trails
---@field closed_exceptions_days integer|nil default 400
---@field done_jobs_days integer|nil default 400; the payloads of their events go with them

---@class neap.ConnectionOptions
---@field base_url string "https://..." or, of a mail server, "smtp://host:587" (STARTTLS is required) or
---   "smtps://host:465"
---@field headers table<string, any>|nil values may be secret(...), and must be where the name is Authorization,
---   Cookie or contains token, key, secret or password (not for clients with `sandbox = true`)
---@field basic {user: string, password: any}|nil the password is secret("NAME"), as in `auth`; of a mail
---   server: its login
---@field tls "none"|nil a mail server on this machine (127.0.0.1) may be spoken to without TLS
---@field signature {secret: any, header: string|nil, timestamp_header: string|nil}|nil signs every request as it
---   is sent: `timestamp_header` (default "X-Neap-Timestamp") holds Unix seconds, `header` (default
---   "X-Neap-Signature") "sha256=" and the hex HMAC-SHA256 of "<seconds>.<body>" under the secret
---@field ca_file string|nil who is trusted instead of the system's authorities; relative to the client's folder
---@field pinned_key string|nil "sha256//BASE64", several joined by ";". Only adds to a trusted chain: the
---   certificate must also be signed by an authority that is trusted (see ca_file)
---@field pinned_cert_file string|nil the server's own certificate: the one for self-signed servers
---@field timeout_ms integer|nil default 30,000
---@field connect_timeout_ms integer|nil default 5,000
---@field max_concurrent integer|nil default 8
---@field rate_per_s number|nil
---@field rate_burst integer|nil
---@field breaker_failures integer|nil default 5
---@field breaker_cool_ms integer|nil default 10,000
---@field settle_ms integer|nil default timeout_ms, at most a day: how long the far side may go on with a request after we stopped
---   listening; nobody asks whether an effect happened sooner (docs/job-life.md)
---@field max_answer_bytes integer|nil default 16 MiB

local flow = {}
return flow
