//! Goal: whose a folder is and on what it lies is told, and each kind that promises less. Method:
//! lines of a mount table and modes by hand, and folders of this machine.
use std::os::unix::fs::PermissionsExt as _;

use super::super::report::Verdict::{Fail, Ok as Good, Warn};
use super::*;

const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /tmp rw,nosuid - tmpfs tmpfs rw,size=1g
24 22 254:1 / /srv/my\\040data rw,noatime - xfs /dev/vdb rw,attr2
25 22 0:50 / /mnt/far rw - nfs4 host:/x rw,vers=4.2
26 22 0:51 / /mnt/fuse rw - fuse.sshfs x rw
27 22 254:2 / /mnt/bare rw - ext4 /dev/vdc rw,nobarrier
28 22 0:52 / /over rw - overlay overlay rw,lowerdir=/x
29 28 254:3 / /over rw - ext4 /dev/vdd rw";

#[test]
fn the_mount_of_a_folder_is_the_nearest_above_it() {
    let point = |folder: &str| mount_of(MOUNTS, Path::new(folder)).unwrap().point;
    assert_eq!(point("/srv/my data/lodgepole"), Path::new("/srv/my data"));
    assert_eq!(point("/tmp"), Path::new("/tmp"));
    assert_eq!(point("/tmpfile"), Path::new("/"), "a name that only begins so is elsewhere");
    assert_eq!(mount_of(MOUNTS, Path::new("/over/x")).unwrap().kind, "ext4", "the last one hides");
    assert_eq!(mount_of("nonsense\n- - -", Path::new("/x")), None);
}

#[test]
fn file_systems_that_keep_less_than_they_say_are_warned_about() {
    let judged = |folder: &str| judge_mount(mount_of(MOUNTS, Path::new(folder)).as_ref());
    for (folder, why) in [
        ("/tmp/x", "memory"),
        ("/mnt/far/x", "network"),
        ("/mnt/fuse/x", "program"),
        ("/mnt/bare", "barriers"),
    ] {
        let check = judged(folder);
        assert!(check.verdict == Warn && check.advice.unwrap().contains(why), "{folder}");
    }
    let overlay = MOUNTS.lines().find(|line| line.contains("overlay")).unwrap();
    assert_eq!(judge_mount(mount(overlay).as_ref()).verdict, Warn);
    for folder in ["/srv/my data", "/var/lib", "/over/x"] {
        assert_eq!(judged(folder).verdict, Good, "{folder}");
    }
    assert_eq!(judge_mount(None).verdict, Good);
    assert!(!file_system(Path::new("/proc")).found.is_empty());
}

#[test]
fn owner_and_rights_of_the_folder_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let user = own_user().unwrap();
    let look = || judge(path, owner(path), user, false);
    let set = |mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o700);
    assert_eq!(look().verdict, Good);
    assert!(!owner(path).unwrap().is_other(user));
    set(0o750);
    let open = look();
    assert!(open.verdict == Warn && open.advice.unwrap().contains("chmod 700"), "{}", open.found);
    set(0o700);
    let as_other = judge(path, owner(path), user + 1, false);
    assert!(as_other.verdict == Warn && as_other.advice.unwrap().contains("sudo -u"));
    assert_eq!(judge(path, owner(path), user + 1, true).verdict, Good, "the server has it");
    let missing = path.join("none");
    assert_eq!(judge(&missing, owner(&missing), user, false).verdict, Warn);
    let file = path.join("file");
    lodgepole_storage::files::replace(&file, b"x", lodgepole_storage::files::Readers::Owner)
        .unwrap();
    assert_eq!(judge(&file, owner(&file), user, false).verdict, Fail);
}

#[test]
fn segments_are_counted_and_the_newest_file_is_found() {
    use lodgepole_storage::files::{self, Readers};
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Files::below(folder.path()), Files::default());
    for (name, bytes) in [("ix/a/seg/1", 10), ("ix/a/seg/2", 20), ("ix/a/db/3", 40)] {
        let path = folder.path().join(name);
        files::create_folder(path.parent().unwrap()).unwrap();
        files::replace(&path, &vec![0; bytes], Readers::Owner).unwrap();
    }
    let found = Files::below(folder.path());
    assert_eq!((found.segments, found.segment_bytes), (2, 30));
    assert!(found.newest.unwrap().0 > 1_700_000_000_000);
}
