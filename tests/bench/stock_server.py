"""The stock list of a Khaos with very many codes: GetStockList over SOAP, and nothing else.

The sandbox keeps its codes in a store of its own and lists 10,000 at most; this one is only for
measuring. Answers are in the form of contract 1.4.2, inline, `Count` first.
"""

import http.server
import random
import re
import threading
import time

HEAD = ('<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope '
        'xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:SOAP-ENC="http://schemas.xmlsoap.org/soap/encoding/"><SOAP-ENV:Body><NS1:GetStockListResponse '
        'xmlns:NS1="urn:IKosWebIntf-IKosWeb" xmlns:NS2="urn:IKosWebIntf"><return xsi:type="NS2:TStockList">'
        '<Count xsi:type="xsd:int">%d</Count><List xsi:type="SOAP-ENC:Array" '
        'SOAP-ENC:arrayType="NS2:TStockInfo[%d]">')
ITEM = ('<item xsi:type="NS2:TStockInfo"><StockCode xsi:type="xsd:string">SKU-%07d-M</StockCode>'
        '<OtherRef xsi:type="xsd:string">50%011d</OtherRef><StockDesc xsi:type="xsd:string">Waxed jacket, '
        'medium, item %d</StockDesc><ParentCode xsi:type="xsd:string"></ParentCode><ParentOtherRef '
        'xsi:type="xsd:string"></ParentOtherRef><LastUpdated xsi:type="xsd:dateTime">2026-05-04T10:%02d:%02d'
        '</LastUpdated></item>')
TAIL = "</List></return></NS1:GetStockListResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>"


class StockServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, codes, is_shuffled):
        super().__init__(("127.0.0.1", 0), Handler)
        self.numbers = list(range(codes))
        if is_shuffled:
            random.Random(1).shuffle(self.numbers)
        self.changed = []
        self.revision = 0
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/khaos"

    def change(self, count):
        """From now on `count` codes, spread over all, have a newer revision."""
        self.revision += 1
        self.changed = random.Random(self.revision).sample(range(len(self.numbers)), count)

    def count(self):
        return len(self.asked)

    def asked_at(self, index):
        return self.asked[index]

    def items(self, numbers):
        for at in range(0, len(numbers), 5000):
            yield "".join(ITEM % (n, n, n, self.revision // 60, self.revision % 60)
                          for n in numbers[at:at + 5000]).encode()

    def stop(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        server = self.server
        kind, since = re.search(r">(\d+)</DateType>.*>([-0-9T:]+)</DateValue>", body).groups()
        is_full = since.startswith("1899")
        numbers = server.numbers if is_full else server.changed if kind == "0" else []
        pieces = [(HEAD % (len(numbers), len(numbers))).encode(), *server.items(numbers), TAIL.encode()]
        if kind == "0":
            server.asked.append(time.monotonic())
        self.send_response(200)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(sum(map(len, pieces))))
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)

    def log_message(self, *_):
        pass


def start(codes, is_shuffled):
    server = StockServer(codes, is_shuffled)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
