# SPDX-License-Identifier: Apache-2.0
"""latency.py PORT TOKEN PATH COUNT: so many GETs over one connection, in a process of its
own; prints their 99th percentile in milliseconds."""
import http.client
import sys
import time


def main():
    port, token, path, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        response.read()
        took.append((time.perf_counter() - begun) * 1000)
        assert response.status == 200, response.status
        time.sleep(0.002)
    print(sorted(took)[int(len(took) * 0.99)])


if __name__ == "__main__":
    main()
