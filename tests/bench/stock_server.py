"""The stock list of a Khaos with very many codes: GetStockList over SOAP, in a process of its own.

    stock_server.py PORT CODES SHUFFLED     GET /asked: when the list was asked for (monotonic);
                                            POST /change: so many codes have a newer revision

The sandbox keeps its codes in a store of its own and lists 10,000 at most; this one is only for
measuring. Answers are in the form of contract 1.4.2, inline, `Count` first.
"""

import http.server
import json
import random
import re
import sys
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

    def __init__(self, port, codes, is_shuffled):
        super().__init__(("127.0.0.1", port), Handler)
        self.numbers = list(range(codes))
        if is_shuffled:
            random.Random(1).shuffle(self.numbers)
        self.changed = []
        self.revision = 0
        self.asked = []

    def change(self, count):
        """From now on `count` codes, spread over all, have a newer revision."""
        self.revision += 1
        self.changed = random.Random(self.revision).sample(range(len(self.numbers)), count)

    def items(self, numbers):
        for at in range(0, len(numbers), 5000):
            yield "".join(ITEM % (n, n, n, self.revision // 60, self.revision % 60)
                          for n in numbers[at:at + 5000]).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        server = self.server
        if self.path == "/change":
            server.change(int(body))
            self.answer([b"{}"], "application/json")
            return
        kind, since = re.search(r">(\d+)</DateType>.*>([-0-9T:]+)</DateValue>", body).groups()
        is_full = since.startswith("1899")
        numbers = server.numbers if is_full else server.changed if kind == "0" else []
        pieces = [(HEAD % (len(numbers), len(numbers))).encode(), *server.items(numbers), TAIL.encode()]
        if kind == "0":
            server.asked.append(time.monotonic())
        self.answer(pieces, "text/xml; charset=utf-8")

    def do_GET(self):
        self.answer([json.dumps(self.server.asked).encode()], "application/json")

    def answer(self, pieces, content_type):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(sum(map(len, pieces))))
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    StockServer(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1").serve_forever()
