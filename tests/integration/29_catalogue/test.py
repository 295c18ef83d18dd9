"""More stock codes than the sandboxes hold: all are read and sent, then only what changed. `make bench-stock` measures
a million."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "bench"))
import neap  # noqa: E402

os.environ["NEAP_BINARY"] = neap.BINARY
import stock_size  # noqa: E402

neap.case("12,000 codes: every figure arrives, and of 1,000 changes exactly 1,000 are sent",
          lambda: stock_size.measure(12000, 1000))
neap.done()
