"""kill -9 at every named moment of variants that are created in SCAYLE from Khaos's items.

SCAYLE's own protection of keys is off: a second creation would be a second variant.
"""

import matrix
import neap
from campaign import Campaign

PRODUCT = "NEWP"
AFTER_S = 0.6  # the next item, when the moment has not come yet


class Scene:
    """Items come to be in Khaos, one after the other, all for one draft product of SCAYLE."""

    def __init__(self, campaign):
        self.campaign = campaign
        self.codes = []

    def prepare(self):
        campaign = self.campaign
        campaign.start_sandbox()
        campaign.control("scayle", "POST", "settings", {"variant_keys_unique": False})
        campaign.control("scayle", "POST", "products", {"products": [{"key": PRODUCT, "state": "draft", "variants": []}]})
        campaign.start_host()
        campaign.place("plain")
        neap.until(campaign.has_flowed, "an order is posted", 60)
        neap.until(lambda: campaign.host.ask("products").get("completed"), "the catalogues were compared once", 60)
        campaign.kill_host()

    def add(self):
        """A person enters the next item."""
        code = f"VAR-{len(self.codes):03}"
        self.codes.append(code)
        self.campaign.control("khaos", "POST", "stock", {
            "code": code, "level": 5, "parent": PRODUCT, "sell_price": "25.00", "user": {"Price EUR": "29.95"}})

    def copies(self):
        return self.campaign.control("scayle", "GET", "products")["copies"]

    def finish(self):
        neap.until(lambda: set(self.codes) <= set(self.copies()), "every item has its variant", 120)

    def check_once(self):
        copies = self.copies()
        assert len(self.codes) > 10, self.codes
        wrong = {code: copies.get(code, 0) for code in self.codes if copies.get(code, 0) != 1}
        assert not wrong, wrong


def cells_of(wanted):
    return [cell for cell in matrix.unit_cells(matrix.OF_PRODUCTS) if wanted in cell.name]


def at_named_moments(seed, wanted):
    campaign = Campaign(seed, variables={"PRODUCTS_CREATE": "draft", "MIRROR_EVERY_MS": "300"})
    scene, cells = Scene(campaign), cells_of(wanted)
    if not cells:
        return
    campaign.random.shuffle(cells)
    print(f"# seed {seed}, {len(cells)} named moments of new variants; data in {campaign.host.folder}", flush=True)

    def come():
        scene.prepare()
        missing = [cell.name for cell in cells
                   if not matrix.run_cell(campaign, cell, lambda _, __: scene.add(), AFTER_S)]
        print(f"# seed {seed}: {len(cells) - len(missing)} of {len(cells)} moments came, {len(scene.codes)} items",
              flush=True)
        assert not missing, f"moments that never came: {missing}"

    def settle():
        campaign.set_faults({})
        campaign.start_host()
        scene.finish()
        campaign.settle()

    try:
        neap.case(f"kill -9 at every named moment of new variants: each of them comes (seed {seed})", come)
        neap.case("all of them end", settle)
        neap.case("SCAYLE has one variant of every item", scene.check_once)
        campaign.check()
    finally:
        campaign.stop()
