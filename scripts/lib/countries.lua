--- Country codes of ISO 3166-1: two letters (shops, delegations) and three (orders, Khaos).
local countries = {}

-- Every officially assigned code, alpha-2 and alpha-3 written together.
local CODES = [[
    ADAND AEARE AFAFG AGATG AIAIA ALALB AMARM AOAGO AQATA ARARG ASASM ATAUT AUAUS AWABW
    AXALA AZAZE BABIH BBBRB BDBGD BEBEL BFBFA BGBGR BHBHR BIBDI BJBEN BLBLM BMBMU BNBRN
    BOBOL BQBES BRBRA BSBHS BTBTN BVBVT BWBWA BYBLR BZBLZ CACAN CCCCK CDCOD CFCAF CGCOG
    CHCHE CICIV CKCOK CLCHL CMCMR CNCHN COCOL CRCRI CUCUB CVCPV CWCUW CXCXR CYCYP CZCZE
    DEDEU DJDJI DKDNK DMDMA DODOM DZDZA ECECU EEEST EGEGY EHESH ERERI ESESP ETETH FIFIN
    FJFJI FKFLK FMFSM FOFRO FRFRA GAGAB GBGBR GDGRD GEGEO GFGUF GGGGY GHGHA GIGIB GLGRL
    GMGMB GNGIN GPGLP GQGNQ GRGRC GSSGS GTGTM GUGUM GWGNB GYGUY HKHKG HMHMD HNHND HRHRV
    HTHTI HUHUN IDIDN IEIRL ILISR IMIMN ININD IOIOT IQIRQ IRIRN ISISL ITITA JEJEY JMJAM
    JOJOR JPJPN KEKEN KGKGZ KHKHM KIKIR KMCOM KNKNA KPPRK KRKOR KWKWT KYCYM KZKAZ LALAO
    LBLBN LCLCA LILIE LKLKA LRLBR LSLSO LTLTU LULUX LVLVA LYLBY MAMAR MCMCO MDMDA MEMNE
    MFMAF MGMDG MHMHL MKMKD MLMLI MMMMR MNMNG MOMAC MPMNP MQMTQ MRMRT MSMSR MTMLT MUMUS
    MVMDV MWMWI MXMEX MYMYS MZMOZ NANAM NCNCL NENER NFNFK NGNGA NINIC NLNLD NONOR NPNPL
    NRNRU NUNIU NZNZL OMOMN PAPAN PEPER PFPYF PGPNG PHPHL PKPAK PLPOL PMSPM PNPCN PRPRI
    PSPSE PTPRT PWPLW PYPRY QAQAT REREU ROROU RSSRB RURUS RWRWA SASAU SBSLB SCSYC SDSDN
    SESWE SGSGP SHSHN SISVN SJSJM SKSVK SLSLE SMSMR SNSEN SOSOM SRSUR SSSSD STSTP SVSLV
    SXSXM SYSYR SZSWZ TCTCA TDTCD TFATF TGTGO THTHA TJTJK TKTKL TLTLS TMTKM TNTUN TOTON
    TRTUR TTTTO TVTUV TWTWN TZTZA UAUKR UGUGA UMUMI USUSA UYURY UZUZB VAVAT VCVCT VEVEN
    VGVGB VIVIR VNVNM VUVUT WFWLF WSWSM YEYEM YTMYT ZAZAF ZMZMB ZWZWE
]]

local TO_ALPHA3 = {}
local TO_ALPHA2 = {}
for two, three in string.gmatch(CODES, "(%u%u)(%u%u%u)") do
    TO_ALPHA3[two] = three
    TO_ALPHA2[three] = two
end

local function normal(code)
    return type(code) == "string" and code:upper() or nil
end

--- The three-letter code of a two- or three-letter code in any case; nil when it names no country.
---@param code any
---@return string|nil
function countries.alpha3(code)
    local name = normal(code)
    if not name then
        return nil
    end
    return TO_ALPHA3[name] or (TO_ALPHA2[name] and name) or nil
end

--- The two-letter code of a two- or three-letter code in any case; nil when it names no country.
---@param code any
---@return string|nil
function countries.alpha2(code)
    local name = normal(code)
    if not name then
        return nil
    end
    return TO_ALPHA2[name] or (TO_ALPHA3[name] and name) or nil
end

--- All pairs {alpha2, alpha3}, by alpha-2.
---@return string[][]
function countries.all()
    local list = {}
    for two, three in string.gmatch(CODES, "(%u%u)(%u%u%u)") do
        list[#list + 1] = {two, three}
    end
    return list
end

return countries
