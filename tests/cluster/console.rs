//! The documents' commands for a cluster, on a real control plane. Most print what the program alone prints too; those
//! of the other pages are executed by `tests/documentation/console.rs`.

use crate::bed::Bed;
use crate::support::Version;
use crate::support::console::Place;
use crate::support::stage::{Stage, each_page};

#[tokio::test(flavor = "multi_thread")]
async fn every_command_for_a_cluster_in_the_documents_prints_what_it_says() {
    let test = "console::every_command_for_a_cluster_in_the_documents_prints_what_it_says";
    each_page(test, &Place::Cluster, 2, async |page| {
        let bed = Bed::start(Version::V1_36).await;
        let kubectl = bed.plane.admin();
        let stage = Stage::new(&[("kubectl", kubectl.program())], &[("KUBECONFIG", bed.plane.kubeconfig())]);
        stage.run(page, &Place::Cluster).await;
    })
    .await;
}
