"""What may come in from outside: good, bad and hostile requests to the delegation endpoint.

Every request gets an answer of its own, whatever state Khaos is in, and a repeat the first one's bytes.
"""

import base64
import concurrent.futures
import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support"))
import neap  # noqa: E402

ENDPOINT = "/demo/scayle/delegation"
BASIC = "Basic " + base64.b64encode(b"scayle:sandbox").decode()
MAX_BODY = 1 << 20

# Khaos does not exist here at all: nothing in this test may need it.
shop = neap.Shop(variables={"SWEEP_MS": "600000", "KHAOS_URL": f"http://127.0.0.1:{neap.free_port()}/khaos"})


def delegation(order_id, **fields):
    return {"orderId": order_id, "shopKey": "fo", "countryCode": "GB", "fulfillingMerchantKey": "fellside",
            **fields}


def head(*lines, method="POST", path=ENDPOINT):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: neap", f"Authorization: {BASIC}",
                        "Connection: close", *lines, "", ""]).encode()


def expect(status, body, **options):
    got, text, _ = shop.delegate(body, **options)
    assert got == status, f"{got} instead of {status}: {text[:300]}"
    return text


def is_error_text(text):
    document = json.loads(text)
    assert document.get("message") or document.get("error"), text


def unreadable():
    for body in ("", "not JSON", "{", '{"orderId": 5001', "[1, 2", '{"orderId": NaN}', "\x00", "{'orderId': 1}"):
        is_error_text(expect(400, body))


def no_order_id():
    for body in ("{}", "[]", "null", "5", '"5001"', '{"orderId": null}', '{"orderId": ""}', '{"orderId": "  "}',
                 '{"orderId": {}}', '{"orderId": [5001]}', '{"orderId": true}', '{"orderId": 1.5}'):
        is_error_text(expect(400, body))


def invalid_utf8():
    before = shop.host.metric("neap_http_answers_total", client="demo", status="500")
    for body in (b"\xff\xfe", b'{"orderId": "\xc3\x28"}', b'{"orderId": 71001, "x": "\xed\xa0\x80"}'):
        status, text, _ = shop.delegate(body)
        assert status in (201, 400), (status, text)
    assert shop.host.metric("neap_http_answers_total", client="demo", status="500") == before


def passwords():
    for auth in (None, ("scayle", "wrong"), ("wrong", "sandbox"), ("scayle", ""), ("", ""),
                 ("scayle", "sandbox" * 1000)):
        status, text, headers = shop.delegate(delegation(71002), auth=auth)
        assert status == 401, (auth, status)
        assert "WWW-Authenticate" in headers, headers
    for value in ("Basic", "Basic !!!", "Bearer x", "Basic " + "A" * 5000):
        status = shop.delegate(delegation(71002), auth=None, headers={"Authorization": value})[0]
        assert status == 401, (value[:20], status)
    assert shop.host.order(71002) is None, "a refused delegation left an order"


def before_the_body():
    """Who has no password, or sends too much, is told so by his head: none of his body is waited for or kept."""
    wrong = "Basic " + base64.b64encode(b"scayle:wrong").decode()
    for status, path, auth, size in ((401, ENDPOINT, wrong, MAX_BODY), (401, ENDPOINT, "", 1000),
                                     (413, ENDPOINT, BASIC, MAX_BODY + 1), (404, "/demo/nothing", BASIC, 1000),
                                     (404, "/nobody/x", BASIC, 1000)):
        for framing in (f"Content-Length: {size}", "Transfer-Encoding: chunked"):
            if status == 413 and "chunked" in framing:
                continue
            lines = [f"POST {path} HTTP/1.1", "Host: neap", framing] + ([f"Authorization: {auth}"] if auth else [])
            started = time.monotonic()
            with socket.create_connection(("127.0.0.1", shop.host.port), timeout=10) as s:
                s.sendall("\r\n".join([*lines, "", ""]).encode())
                got = b""
                while chunk := s.recv(65536):
                    got += chunk
            assert got.startswith(b"HTTP/1.1 %d " % status), (status, framing, got)
            assert b"Connection: close" in got and got.count(b"HTTP/1.1 ") == 1, got
            assert time.monotonic() - started < 5, "it waited for the body"
            is_error_text(got.split(b"\r\n\r\n", 1)[1])


def sizes():
    body = json.dumps(delegation(71003, note="x" * MAX_BODY))
    is_error_text(expect(413, body))
    fits = json.dumps(delegation(71003, note=""))
    fits = json.dumps(delegation(71003, note="x" * (MAX_BODY - len(fits))))
    assert len(fits) == MAX_BODY
    expect(201, fits)
    status, _ = shop.host.raw(head("Content-Length: 99999999999"))
    assert status == 413, status
    status, got = shop.host.raw(head("Content-Length: 100") + b'{"orderId": 71004')
    assert status in (0, 400), got
    assert shop.host.order(71004) is None


def paths_and_methods():
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        status = shop.host.request(method, ENDPOINT, auth=shop.AUTH)[0]
        assert status == 405, (method, status)
    for path in ("/demo/", "/demo", "/demo/nothing", "/nobody/scayle/delegation", "/", ENDPOINT + "/x",
                 "/demo/../demo/scayle/delegation", "//demo/scayle/delegation", "/demo/%00", "/demo/%zz",
                 "/demo/scayle%2fdelegation"):
        status, text, _ = shop.host.post(path, "{}", auth=shop.AUTH)
        assert status in (400, 404), (path, status, text)
    status, _ = shop.host.raw(head("Content-Length: 2", method="BREW") + b"{}")
    assert status in (400, 405, 501), status


def headers():
    status, got = shop.host.raw(head("X-Long: " + "x" * 70000, "Content-Length: 2") + b"{}")
    assert status in (400, 431), got[:200]
    status, got = shop.host.raw(head(*[f"X-{i}: 1" for i in range(1000)], "Content-Length: 2") + b"{}")
    assert status in (400, 431), got[:200]
    status, got = shop.host.raw(b"POST " + ENDPOINT.encode() + b"?" + b"a" * 70000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status in (400, 414, 431), got[:200]
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n\r\n", b"GET\r\n\r\n", b"\x00" * 500,
                    b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET / HTTP/1.1\r\n x: folded\r\n\r\n"):
        status, got = shop.host.raw(garbage)
        assert status == 0 or 400 <= status < 600, (garbage, got)


def chunked():
    body = json.dumps(delegation(71005)).encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]) for i in range(0, len(body), 7))
    status, got = shop.host.raw(head("Transfer-Encoding: chunked") + pieces + b"0\r\n\r\n")
    assert status == 201, got
    assert shop.host.order(71005)
    status, got = shop.host.raw(head("Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n")
    assert status in (0, 400), got
    status, got = shop.host.raw(head("Transfer-Encoding: chunked") + b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n")
    assert status in (0, 400, 413), got
    chunk = b"%x\r\n%s\r\n" % (1 << 16, b"x" * (1 << 16))
    status, got = shop.host.raw(head("Transfer-Encoding: chunked") + chunk * 160 + b"0\r\n\r\n")
    assert status in (0, 413), got[:200]


def ambiguous_lengths():
    body = json.dumps(delegation(71006)).encode()
    smuggled = b"0\r\n\r\n" + head("Content-Length: %d" % len(body)) + body
    for lines in (("Content-Length: %d" % len(smuggled), "Transfer-Encoding: chunked"),
                  ("Transfer-Encoding: chunked", "Content-Length: %d" % len(smuggled)),
                  ("Content-Length: 0", "Content-Length: %d" % len(smuggled)),
                  ("Content-Length: +%d" % len(smuggled),), ("Content-Length: -1",), ("Content-Length: 1e3",),
                  ("Transfer-Encoding: xchunked",), ("Transfer-Encoding : chunked",)):
        status, got = shop.host.raw(head(*lines) + smuggled)
        assert 400 <= status < 600, (lines, got)
        assert got.count(b"HTTP/1.1 ") == 1, (lines, got)
    assert shop.host.order(71006) is None, "a smuggled request was handled"


def nesting():
    for body in ("[" * 100000, '{"a":' * 100000, '{"orderId": 71007, "a": ' + "[" * 900 + "]" * 900 + "}"):
        expect(400, body)
    status, _, _ = shop.delegate('{"orderId": 71008, "a": ' + "[" * 20 + "]" * 20 + "}")
    assert status == 201


def id_forms():
    first = expect(201, delegation(71009))
    assert json.loads(first) == {"referenceKey": "71009", "statusCode": 201,
                                 "orderDelegationResult": "acknowledged"}, first
    for order_id in ("71009", " 71009 ", 71009.0):
        assert expect(201, delegation(order_id)) == first, order_id
    assert len(shop.host.order(71009)["jobs"]) == 1
    big = "9223372036854775807123"
    assert json.loads(expect(201, f'{{"orderId": {big}, "shopKey": "fo"}}'))["referenceKey"] == big


def duplicates():
    body = json.dumps(delegation(71010, cost={"withTax": 100}))

    def send(i):
        return shop.delegate(body if i % 2 else body.replace(" ", ""))

    before = {name: shop.host.metric(name, client="demo")
              for name in ("neap_accepted_total", "neap_duplicates_total")}
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(send, range(200)))
    assert {status for status, _, _ in answers} == {201}, {s for s, _, _ in answers}
    assert len({text for _, text, _ in answers}) == 1
    assert len(shop.host.order(71010)["jobs"]) == 1
    after = {name: shop.host.metric(name, client="demo") for name in before}
    assert after["neap_duplicates_total"] - before["neap_duplicates_total"] == 199, (before, after)
    assert after["neap_accepted_total"] - before["neap_accepted_total"] == 1, (before, after)


def pipelined():
    body = json.dumps(delegation(71011)).encode()
    last = head("Content-Length: %d" % len(body)) + body
    one = last.replace(b"Connection: close\r\n", b"")
    _, got = shop.host.raw(one * 4 + last, is_all=False)
    assert got.count(b"HTTP/1.1 201") == 5, got
    assert len(shop.host.order(71011)["jobs"]) == 1


def counted():
    metrics = shop.host.get("/metrics")[1].decode()
    for status in (201, 400, 401, 404, 405, 413):
        assert f'neap_http_answers_total{{client="demo",status="{status}"}}' in metrics, status
    # What is refused before any client sees it counts too: oversized bodies and headers, unknown clients.
    for status in (404, 413, 431):
        assert f'neap_http_refused_total{{status="{status}"}}' in metrics, status
    assert 'status="500"' not in metrics, metrics
    assert shop.host.get("/healthz")[0] == 200


def webhooks():
    for body in ("", "{}", "[]", '{"key": "k1"}', '{"key": "k1", "type": "order-confirmed"}',
                 '{"key": "k1", "type": "order-confirmed", "payload": {"id": {}}}'):
        status, text, _ = shop.host.post("/demo/scayle/webhook", body, auth=shop.AUTH)
        assert status == 400, (body, status, text)
    status, text, _ = shop.host.post("/demo/scayle/webhook", '{"key": "k2", "type": "product-created"}',
                                     auth=shop.AUTH)
    assert (status, json.loads(text)) == (200, {"accepted": False}), text


try:
    shop.start()
    neap.case("what is no JSON gets 400 and a reason", unreadable)
    neap.case("what names no order gets 400 and a reason", no_order_id)
    neap.case("invalid UTF-8 is answered and breaks nothing", invalid_utf8)
    neap.case("a missing or wrong password gets 401 and leaves nothing", passwords)
    neap.case("a wrong password, path or size is refused before the body comes", before_the_body)
    neap.case("a body over the route's limit gets 413, one of exactly the limit is taken", sizes)
    neap.case("unknown paths and clients get 404, wrong methods 405", paths_and_methods)
    neap.case("oversized and broken headers are refused", headers)
    neap.case("chunked bodies are read, broken ones refused", chunked)
    neap.case("ambiguous lengths are refused and nothing is smuggled in", ambiguous_lengths)
    neap.case("deep nesting is refused", nesting)
    neap.case("an order id counts as text and as a number, and is the same order", id_forms)
    neap.case("200 copies at once make one job and get the same bytes", duplicates)
    neap.case("pipelined requests are answered one by one", pipelined)
    neap.case("broken webhooks get 400, others' events are answered and left", webhooks)
    neap.case("all is answered with Khaos down, and counted", counted)
finally:
    shop.stop()
neap.done()
