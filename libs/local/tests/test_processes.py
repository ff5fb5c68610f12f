import os
from pathlib import Path

from plumbline_local.processes import Board, ProcessId, Record


def test_a_recycled_pid_is_not_taken_for_the_process_that_had_it() -> None:
    earlier = ProcessId(os.getpid(), started=1.0)

    assert not earlier.alive
    assert ProcessId.of(os.getpid()) != earlier


def test_a_board_is_read_as_it_was_written(tmp_path: Path) -> None:
    board = Board(tmp_path / "run" / "processes.json", ProcessId.of(os.getpid()), error="no luck")
    board.parts["kafka"] = Record("healthy", ProcessId.of(os.getpid()), restarts=3)
    board.write()

    assert Board.read(board.file) == board
