--- What a client's manifest becomes when a report asks its systems: one flow more, whose job is the
--- report. The client's own flows are loaded for their settings and never run.
---@param manifest any what client.lua returned
---@return any
return function(manifest)
    if type(manifest) ~= "table" or type(manifest.flows) ~= "table" then
        return manifest -- whoever reads it says what is wrong
    end
    local changed, flows = {}, {}
    for name, value in pairs(manifest) do
        changed[name] = value
    end
    for name, value in pairs(manifest.flows) do
        flows[name] = value
    end
    flows.report = {use = "reports.asking", settings = {
        client = manifest.name, owners = manifest.owners, live_from = manifest.live_from}}
    changed.flows = flows
    return changed
end
