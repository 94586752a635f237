# What talks to memcached: trust, items, manifests, the pool, the counters on the wire.
l7s_unit(breaker l7s_core)
l7s_unit(endpoint l7s_bus)
l7s_unit(fleet l7s_core)
l7s_unit(item l7s_bus)
l7s_unit(manifest l7s_bus)
l7s_unit(meta l7s_bus)
l7s_unit(pool l7s_bus)
l7s_unit(quota l7s_bus)
l7s_unit(trust l7s_bus)

target_sources(test_meta PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/memcached_server.c)
target_sources(test_pool PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/memcached_server.c)
target_link_libraries(test_meta PRIVATE Threads::Threads)
target_link_libraries(test_pool PRIVATE Threads::Threads)
target_sources(test_fleet PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/fleet_model.c)
target_link_libraries(test_fleet PRIVATE m)
# Real servers and deadlines: alone, or a busy machine is what they test.
set_tests_properties(core.meta core.pool PROPERTIES TIMEOUT 60 RUN_SERIAL TRUE)
