--- The elements of the order import: which exist, how long they may be, what they may hold
--- (contract 2.1 to 2.5). `never = true` marks what the vendor asks not to send.

local schema = {}

local function text(max)
    return {kind = "text", max = max}
end

local BOOL = {kind = "bool"}
local INT = {kind = "int"}
local DECIMAL = {kind = "decimal"}
local DATE = {kind = "date"}
local NEVER = {kind = "text", never = true}
local TREE = {kind = "tree"}

local function required(rule)
    local copy = {required = true}
    for name, value in pairs(rule) do
        copy[name] = value
    end
    return copy
end

schema.CUSTOMER = {
    IS_NEW_CUSTOMER = required(BOOL),
    COMPANY_CODE = text(10),
    OTHER_REF = text(30),
    OTHER_REF_TYPE = NEVER,
    WEB_USER = text(50),
    COMPANY_CLASS = text(50),
    COMPANY_TYPE = text(50),
    COMPANY_NAME = text(50),
    WEB_SITE = text(100),
    SOURCE_CODE = text(30),
    MAILING_STATUS = INT,
    OPTIN_NEWSLETTER = NEVER,
    TAX_REFERENCE = text(20),
    UDA = TREE,
    GIFT_AID = NEVER,
    VAT_RELIEF_QUALIFIED = BOOL,
    ADDRESSES = required(TREE),
    CUSTOM = TREE,
}

--- Address fields without their prefix I or D.
schema.ADDRESS = {
    ADDRESS_ID = NEVER,
    ADDRESS1 = required(text(35)),
    ADDRESS2 = text(35),
    ADDRESS3 = text(35),
    TOWN = required(text(35)),
    COUNTY = text(35),
    POSTCODE = required(text(10)),
    COUNTRY_CODE = text(3),
    COUNTRY_NAME = text(50),
    CONTACT_ID = NEVER,
    TITLE = text(20),
    FORENAME = text(50),
    SURNAME = required(text(50)),
    TEL = text(19),
    FAX = text(19),
    MOBILE = text(19),
    EMAIL = text(50),
    EMAIL_SUBSCRIBER = BOOL,
    DOB = DATE,
    ORGANISATION = text(50),
    PREFERRED_COMMUNICATION_METHOD = text(50),
}

schema.PAYMENT = {
    PAYMENT_AMOUNT = required(DECIMAL),
    PAYMENT_TYPE = required(INT),
    CARD_TYPE = text(50),
    CARD_NUMBER = text(50),
    CARD_START = text(4),
    CARD_EXPIRE = text(4),
    CARD_ISSUE = text(4),
    CARD_CV2 = text(4),
    CARD_NAME = text(50),
    PREAUTH = BOOL,
    AUTH_CODE = text(50),
    TRANSACTION_ID = text(100),
    PREAUTH_REF = text(100),
    SECURITY_REF = text(100),
    SECURITY_TOKEN = {kind = "text", max = 100, attrs = {Last4Digits = true}},
    SECURITY_COMMENT = text(100),
    PSP_CODE = NEVER,
    ACCOUNT_NUMBER = INT,
    ACCOUNT_NAME = text(50),
    CREDIT_SCORE = text(20),
    TRANSACTION_TIMESTAMP = DATE,
    CHARGE_AMOUNT = NEVER,
}

schema.HEADER = {
    INTERNAL_REF = NEVER,
    FORCE_SORDER_CODE = NEVER,
    ORDER_DATE = DATE,
    DELIVERY_DATE = {kind = "date", attrs = {LOCKED = true}},
    ORDER_AMOUNT = DECIMAL,
    ORDER_CURRENCY_CODE = text(3),
    SITE = text(50),
    ASSOCIATED_REF = required(text(50)), -- the length in force is a setting
    AGENT = text(50),
    ORDER_NOTE = text(2000),
    INVOICE_NOTE = text(2000),
    DELIVERY_NET = DECIMAL,
    DELIVERY_TAX = DECIMAL,
    DELIVERY_GRS = DECIMAL,
    COURIER_CODE = text(50),
    COURIER_DESC = text(50),
    PO_NUMBER = text(30),
    KEYCODE_CODE = text(30),
    BRAND = text(50),
    SALES_SOURCE = text(50),
    COURIER_NOTE = text(255),
    INV_PRIORITY = text(50),
    GIFT_AID = NEVER,
    MANUAL_RECEIVED = BOOL,
    REQUIRED_BY_DATE = DATE,
    CLIENT_NAME = NEVER,
    CUSTOM = TREE,
    COMM_LOGS = TREE,
    WEBSITE_NAME = text(50),
    CHANNEL_ID = NEVER,
    SHIP_DATE = DATE,
    CONSIGNMENT_REF = text(50),
}

schema.ITEM = {
    STOCK_CODE = required(text(50)),
    MAPPING_TYPE = required(INT),
    STOCK_DESC = text(250),
    EXTENDED_DESC = {kind = "lines", max = 150},
    ORDER_QTY = required(DECIMAL),
    PRICE_NET = DECIMAL,
    PRICE_GRS = DECIMAL,
    TAX_RATE = text(10),
    OPTION_REF1 = text(50),
    OPTION_REF2 = text(50),
    OPTION_REF3 = text(50),
    KSD_DISCOUNT = DECIMAL,
    FREEITEM_REASON = text(50),
    IMPORT_REF = text(50),
    WEBITEM_REF = text(50),
    PACK_SORT_ORDER = text(7),
    SITE = text(50),
    CUSTOM = TREE,
}

--- Customer import (contract 2.12); what Khaos ignores on import is known all the same.
schema.COMPANY = {
    PASSED_REFERENCE = text(50),
    COMPANY_CODE = text(10),
    COMPANY_NAME = text(50),
    OTHER_REF = text(30),
    COMPANY_CLASS = required(text(50)),
    COMPANY_TYPE = text(50),
    COMPANY_STATUS = text(50),
    WEB_USER = text(50),
    TAX_REFERENCE = text(20),
    MAILING_STATUS = INT,
    SALE_SOURCE = text(50),
    CURRENCY_CODE = text(3),
    COUNTRY_CODE = text(3),
    PAYS_VAT = BOOL,
    EC_COMPANY = BOOL,
    PROFORMA = BOOL,
    SORDER_LOCKED = BOOL,
    CUSTOMER_DISCOUNT = DECIMAL,
    PAYMENT_TYPE = text(50),
    PRICE_LISTS = TREE,
    DATE_CREATED = DATE,
    ADDRESSES = required(TREE),
}

schema.COMPANY_ADDRESS = {
    ADDR1 = required(text(35)),
    ADDR2 = text(35),
    ADDR3 = text(35),
    TOWN = required(text(35)),
    COUNTY = text(35),
    POSTCODE = required(text(10)),
    ADDRTYPE = required(INT),
    COUNTRY_CODE = required(text(3)),
    TEL = text(19),
    FAX = text(19),
    ORGANISATION = text(50),
    CONTACTS = TREE,
}

schema.CONTACT = {
    TITLE = text(20),
    FORENAME = text(50),
    SURNAME = text(50),
    EMAIL = text(50),
    EMAILSUBSCRIBE = BOOL,
    TEL = text(19),
    MOBILE = text(19),
    DOB = DATE,
    IS_PREFERRED = BOOL,
}

return schema
