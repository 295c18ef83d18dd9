std = "lua54"
max_line_length = 100
self = false
unused_args = false
exclude_files = { "build/" }
-- Manifests and mappings may name secrets and settings; nothing else is global.
files["**/client.lua"] = { read_globals = { "secret", "var" } }
files["**/mappings/*.lua"] = { read_globals = { "secret", "var" } }
files["scripts/meta/"] = { ignore = { "211", "212", "213", "241", "631" } }
