import gzip
from pathlib import Path

import pytest
import zstandard

from recross.errors import InputError
from recross.text_files.packed import PACKED_PIECE, check_is_file, is_packed, read_chunks

TEXT = b"some lines\nof text\n" * 40


def read(path, content):
    path.write_bytes(content)
    return b"".join(read_chunks(path))


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_what_is_packed_is_read_whole_and_cut_anywhere_it_is_refused(tmp_path, pack):
    packed = pack(TEXT)
    path = tmp_path / "text"
    assert read(path, packed) == TEXT
    assert is_packed(path)
    for size in range(4, len(packed)):
        with pytest.raises(InputError, match="must be a whole gzip or zstd file, got '.*text'"):
            read(path, packed[:size])


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_bit_that_flipped_is_refused_or_changes_nothing(tmp_path, pack):
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)
    packed = packed if pack is zstandard.compress else gzip.compress(TEXT, mtime=0)
    for at in range(4, len(packed)):
        try:
            found = read(
                tmp_path / "text", packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :]
            )
        except InputError:
            continue
        assert found == TEXT  # such as a bit of the time or the system it was packed on


def test_a_small_file_that_unpacks_to_gigabytes_comes_in_pieces(tmp_path):
    packer = zstandard.ZstdCompressor(level=19).compressobj()
    zeros = bytes(1 << 24)
    path = tmp_path / "bomb"
    path.write_bytes(b"".join([*(packer.compress(zeros) for _ in range(16)), packer.flush()]))
    assert path.stat().st_size < 100_000
    sizes = [len(chunk) for chunk in read_chunks(path)]
    assert sum(sizes) == 1 << 28
    assert max(sizes) <= PACKED_PIECE // 4 << 17


def test_a_plain_text_that_begins_like_a_format_of_others_is_text(tmp_path):
    for text in (b"PAR1\tx", b"BZh\tx", b"BZh9\tx", b"PK\tx", b"x" * 257 + b"ustar", b""):
        assert read(tmp_path / "text", text) == text
        assert not is_packed(tmp_path / "text")


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "text").write_bytes(TEXT)
    monkeypatch.setattr(Path, "open", refuse)
    message = r"run file must be one that can be read, got '.*text' \(Permission denied\)"
    for ask in (is_packed, lambda path, what: list(read_chunks(path, what))):
        with pytest.raises(InputError, match=message):
            ask(tmp_path / "text", "run file")


def test_a_name_that_no_file_can_have_is_refused(tmp_path):
    with pytest.raises(InputError, match="file must be a file, got .*File name too long"):
        check_is_file(tmp_path / ("x" * 300))
    with pytest.raises(InputError, match="file must exist, got"):
        check_is_file(tmp_path / "a\0b")
