# Hashing, keys, addresses, paths, buckets and what lies in the shared memory.
l7s_unit(addr l7s_core)
l7s_unit(bans l7s_core)
l7s_unit(bucket l7s_core)
l7s_unit(cell l7s_core)
l7s_unit(cidrset l7s_core)
l7s_unit(clock l7s_core)
l7s_unit(episode l7s_core)
l7s_unit(hash l7s_core)
l7s_unit(key l7s_core PkgConfig::JANSSON)
l7s_unit(mailbox l7s_core) # threads and processes; some are killed
l7s_unit(mode l7s_core)
l7s_unit(path l7s_core)
l7s_unit(segment l7s_core)
l7s_unit(stats l7s_core)
l7s_unit(status l7s_core)
l7s_unit(strict l7s_core)
l7s_unit(table l7s_core)
l7s_unit(table_shared l7s_core) # 4 processes of 8 threads on one table
