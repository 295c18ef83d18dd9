--- A client's own "map" stage, for the test of replaced stages.
return function(work, standard)
    local ended = standard(work)
    work.posting.header.order_note = "Gift"
    return ended
end
