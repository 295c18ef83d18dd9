--- Tables of the alerts flow.
return {
    KNOWN = "alerts", -- id -> {cause, subject, opened_ms, state, ...}; see watch.lua
    KINDS = "alert_kinds", -- "<what> <cause>" -> {told_ms}: when a kind was told last
}
