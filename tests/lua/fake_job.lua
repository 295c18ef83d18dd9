--- The host-less job of rehearsals (scripts/lib/offline.lua), as tests of flows know it.
return require("lib.offline")
