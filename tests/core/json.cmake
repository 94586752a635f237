l7s_unit(schema l7s_json)
l7s_unit(json_read l7s_json)
l7s_unit(openapi l7s_json)
