"""Game day: a long read keeps the write-ahead log from beginning anew."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from pylon.testing.process import ServerProcess
from tests.gamedays.conftest import APP, meanwhile, operator_of
from tests.gamedays.prometheus import watching


def test_the_reader_is_named_and_the_log_is_emptied(tmp_path: Path) -> None:
    with ServerProcess(APP, tmp_path / "data", env={"PYLON_CHECKPOINT_WAL_MB": "1"}) as server:
        operator = operator_of(server, tmp_path)
        reading = threading.Thread(target=server.request, args=("POST", "/api/fn/report", {"seconds": 6}), daemon=True)
        quick = {"pylon_oldest_reader_seconds > 30": "pylon_oldest_reader_seconds > 2"}
        with watching(server, tmp_path / "prometheus", quick) as prometheus:
            server.request("POST", "/api/fn/flood", {"rows": 100})
            reading.start()
            with meanwhile(lambda: server.request("POST", "/api/fn/flood", {"rows": 500})):
                prometheus.wait_for("PylonLongReader")
                prometheus.wait_for("PylonWalGrowing")
                assert "fn report" in operator.follow("wal-growth", "Look")
            told = operator.follow("wal-growth", "Do")
            after = re.search(r"([\d.]+) MB after", told)
            assert after is not None, told
            assert float(after[1]) < 0.2
            prometheus.wait_until_quiet("PylonWalGrowing")
        operator.follow("long-reader", "Signal")
        operator.follow("wal-growth", "Undo")
        reading.join(15)
        server.stop()
        operator.run("pylon checkpoint")
