--- A small WSDL of the simulated service: operations, their parameters, the POST address.

local operations = require("erp.operations")

local wsdl = {}

local HEAD = [[<?xml version="1.0" encoding="utf-8"?>
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:xs="http://www.w3.org/2001/XMLSchema" ]]
    .. [[name="IKosWebservice" targetNamespace="http://tempuri.org/" ]]
    .. [[xmlns:tns="http://tempuri.org/" ]]
    .. [[xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:ns1="urn:IKosWebIntf">]]

local OPERATION = [[<operation name="%s"><soap:operation soapAction="urn:IKosWebIntf-IKosWeb#%s" ]]
    .. [[style="rpc"/><input><soap:body use="encoded" namespace="urn:IKosWebIntf-IKosWeb"/>]]
    .. [[</input><output><soap:body use="encoded" namespace="urn:IKosWebIntf-IKosWeb"/>]]
    .. [[</output></operation>]]

---@param address string
---@return string
function wsdl.text(address)
    local messages, ports, bindings = {}, {}, {}
    for name, operation in pairs(operations.TABLE) do
        local parts = {}
        for i, parameter in ipairs(operation.parameters) do
            parts[i] = ("<part name=\"%s\" type=\"xs:string\"/>"):format(parameter)
        end
        messages[#messages + 1] = ("<message name=\"%sRequest\">%s</message>"):format(name,
            table.concat(parts))
        messages[#messages + 1] = ("<message name=\"%sResponse\"/>"):format(name)
        local input = ("<input message=\"tns:%sRequest\"/>"):format(name)
        local output = ("<output message=\"tns:%sResponse\"/>"):format(name)
        ports[#ports + 1] = ("<operation name=\"%s\">%s%s</operation>"):format(name, input, output)
        bindings[#bindings + 1] = OPERATION:format(name, name)
    end
    return HEAD
        .. table.concat(messages)
        .. "<portType name=\"IKosWeb\">"
        .. table.concat(ports)
        .. "</portType><binding name=\"IKosWebbinding\" type=\"tns:IKosWeb\">"
        .. "<soap:binding style=\"rpc\" transport=\"http://schemas.xmlsoap.org/soap/http\"/>"
        .. table.concat(bindings)
        .. "</binding><service name=\"IKosWebservice\"><port name=\"IKosWebPort\" "
        .. "binding=\"tns:IKosWebbinding\"><soap:address location=\""
        .. address
        .. "\"/></port></service></definitions>"
end

return wsdl
