return {
    flow = "cancellations",
    name = "cancellation of an order that Khaos has",
    why = "Where Khaos cannot cancel by a call, a person does, and SCAYLE is refused until then.",
    order = {id = "1002", lines = {{stock_code = "CAP-BLUE", units = {"503"}}}},
    expect = {told = {{kind = "answer", result = "failed"}}, held = {"cancel_in_khaos:1002"}},
}
