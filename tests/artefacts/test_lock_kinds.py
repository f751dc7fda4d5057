"""Which locks a folder gets follows from what its file system says and does."""

import pytest

from recross.artefacts.lock_kinds import find_mount, uses_claims
from recross.errors import InputError

MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2,local_lock=none 0 0
server:/old /home/old nfs rw,vers=3,nolock,local_lock=all 0 0
fast@tcp:/fast /scratch lustre rw,flock,lazystatfs 0 0
fast@tcp:/part /scratch/part\\040two lustre rw,localflock 0 0
me@host: /far fuse.sshfs rw,nosuid 0 0
"""


@pytest.mark.parametrize(
    ("folder", "type_", "is_local"),
    [
        ("/tmp", "ext4", False),
        ("/home/me", "nfs4", False),
        ("/home/old/me", "nfs", True),
        ("/home/older", "nfs4", False),
        ("/scratch/x", "lustre", False),
        ("/scratch/part two/x", "lustre", True),
        ("/far/x", "fuse.sshfs", True),
    ],
)
def test_options_of_a_mount_say_whether_other_machines_notice_its_locks(folder, type_, is_local):
    mount = find_mount(folder, MOUNTS)
    assert (mount.type, mount.locks_for_one_machine) == (type_, is_local)


def test_the_environment_chooses_and_is_checked(tmp_path, monkeypatch):
    assert not uses_claims(tmp_path)
    monkeypatch.setenv("RECROSS_LOCKS", "files")
    assert uses_claims(tmp_path)
    monkeypatch.setenv("RECROSS_LOCKS", "file")
    with pytest.raises(InputError, match="RECROSS_LOCKS must be one of auto, flock, files, got"):
        uses_claims(tmp_path)
