use super::*;

/// Less than [`RESCAN`]: what comes within it came by an event.
const SOON: Duration = Duration::from_secs(5);

async fn hinted(watch: &mut Watch) -> bool {
    tokio::time::timeout(SOON, watch.next()).await.is_ok()
}

#[tokio::test]
async fn a_directory_made_anew_with_the_number_of_the_one_before_is_watched_again() {
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("manifests");
    std::fs::create_dir(&directory).unwrap();
    let mut watch = Watch::new(&directory);
    std::fs::remove_dir(&directory).unwrap();
    std::fs::create_dir(&directory).unwrap();
    // What the file system may do, and does not always.
    let made = std::fs::metadata(&directory).unwrap();
    watch.watched = Some((made.dev(), made.ino()));
    assert!(hinted(&mut watch).await, "it was replaced");
    std::fs::write(directory.join("a.yaml"), "").unwrap();
    assert!(hinted(&mut watch).await, "a file in it is written");
}
