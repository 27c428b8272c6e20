//! HTTP: `/metrics` for Prometheus, `/healthz` (the process lives) and `/readyz` (every relation has caught up and answers reads).

use crate::Shared;
use crate::coordinator::Request;
use crate::metrics::{PartitionSample, RelationSample, resident_bytes};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Serves until the listener fails or the task is dropped.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) -> std::io::Result<()> {
    let router = Router::new().route("/metrics", get(metrics)).route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(shared);
    axum::serve(listener, router).await
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// 503 with the names of the relations that are not there yet.
async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let (catalog, published) = (shared.catalog(), shared.dataflow.published());
    let waiting: Vec<String> = catalog
        .entries()
        .filter(|entry| published.get(entry.id).is_some_and(|relation| !relation.is_hydrated()))
        .map(|entry| format!("{}.{}", entry.schema_name, entry.name))
        .collect();
    if waiting.is_empty() {
        return "ready\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("hydrating: {}\n", waiting.join(", "))).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let (catalog, published) = (shared.catalog(), shared.dataflow.published());
    let relations: Vec<RelationSample> = catalog
        .entries()
        .filter_map(|entry| {
            let relation = published.get(entry.id)?;
            let metrics = relation.metrics();
            Some(RelationSample {
                name: format!("{}.{}", entry.schema_name, entry.name),
                updates: metrics.updates as i64,
                bytes: metrics.bytes as i64,
                upper_millis: relation.upper().0 as i64,
            })
        })
        .collect();
    let (answer, reports) = oneshot::channel();
    let mut partitions = Vec::new();
    if shared.request(Request::Sources { answer }).await.is_ok()
        && let Ok(reports) = reports.await
    {
        for report in reports {
            let name = catalog.get(report.source).map(|entry| entry.name.clone()).unwrap_or_default();
            for partition in report.status.partitions {
                partitions.push(PartitionSample {
                    source: name.clone(),
                    topic: partition.topic.clone(),
                    partition: i64::from(partition.partition),
                    offset: partition.applied_offset,
                    lag: partition.lag().unwrap_or(0),
                });
            }
        }
    }
    match shared.metrics.render(&relations, &partitions, resident_bytes()) {
        Ok(page) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
