# The image and the decision on it: compiled, checked, compared with a naive reference.
add_library(policy_fixture STATIC policy_fixture.c policy_random.c policy_random_answer.c
            policy_reference.c policy_reference_act.c policy_reference_count.c
            policy_reference_match.c)
target_link_libraries(policy_fixture PUBLIC l7s_json)

l7s_unit(answer policy_fixture)
l7s_unit(ban_id l7s_core)
l7s_unit(charge policy_fixture)
l7s_unit(charge_flight policy_fixture)
l7s_unit(charge_ratio policy_fixture)
l7s_unit(charge_strict policy_fixture)
l7s_unit(compile policy_fixture)
l7s_unit(decide policy_fixture)
l7s_unit(decide_random policy_fixture)
l7s_unit(decide_user policy_fixture)
l7s_unit(escalate policy_fixture)
l7s_unit(examine policy_fixture)
l7s_unit(explain policy_fixture)
l7s_unit(geo policy_fixture)
l7s_unit(image policy_fixture)
l7s_unit(match policy_fixture)
l7s_unit(outcome l7s_core)
l7s_unit(override policy_fixture)
l7s_unit(pattern policy_fixture)
l7s_unit(plan policy_fixture)
l7s_unit(record policy_fixture)
l7s_unit(settle policy_fixture)
l7s_unit(trip policy_fixture)
l7s_unit(tuple policy_fixture)

# Instructions per decision, under callgrind.
add_executable(bench_decide bench_decide.c)
target_link_libraries(bench_decide PRIVATE policy_fixture)

# Databases of countries and ASNs, made as an operator's are.
set(geo ${CMAKE_CURRENT_BINARY_DIR}/countries.mmdb ${CMAKE_CURRENT_BINARY_DIR}/asns.mmdb)
add_custom_command(OUTPUT ${geo}
    COMMAND /usr/bin/perl ${CMAKE_CURRENT_SOURCE_DIR}/../geo_database.pl ${geo}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/../geo_database.pl)
add_custom_target(geo_databases DEPENDS ${geo})
foreach(name geo decide_random)
    add_dependencies(test_${name} geo_databases)
    target_compile_definitions(test_${name} PRIVATE
        GEO_DATABASES="${CMAKE_CURRENT_BINARY_DIR}")
endforeach()
