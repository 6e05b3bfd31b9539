//! axum with ONNX Runtime in the handler: a session a thread, no batching. Takes and answers matrices of rows as JSON.

use std::cell::RefCell;
use std::env;
use std::error::Error;
use std::sync::OnceLock;

use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{header, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use axum::{routing::post, Router};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use serde::{Deserialize, Serialize};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
struct Rows {
    sparse: Vec<Vec<i32>>,
    dense: Vec<Vec<f32>>,
}

#[derive(Serialize)]
struct Answer<'a> {
    probabilities: Vec<&'a [f32]>,
}

static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
thread_local!(static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) });

fn open() -> Result<Session> {
    let builder = Session::builder(ENVIRONMENT.get().unwrap())?.with_intra_threads(1)?;
    let mut builder = builder.with_config_entry("session.intra_op.allow_spinning", "0")?;
    Ok(builder.commit_from_file(env::var("MODEL")?)?)
}

fn predict(body: &[u8]) -> Result<Vec<u8>> {
    let Rows { sparse, dense } = serde_json::from_slice(body)?;
    let (rows, sparse, dense) = (sparse.len(), sparse.concat(), dense.concat());
    if rows == 0 || sparse.len() % rows != 0 || dense.len() % rows != 0 {
        return Err("rows of different widths".into());
    }
    SESSION.with_borrow_mut(|session| {
        let session = match session {
            Some(session) => session,
            None => session.insert(open()?),
        };
        let outputs = session.run(ort::inputs![
            "sparse" => TensorRef::from_array_view(([rows, sparse.len() / rows], &sparse[..]))?,
            "dense" => TensorRef::from_array_view(([rows, dense.len() / rows], &dense[..]))?,
        ])?;
        let (_, values) = outputs["probabilities"].try_extract_tensor::<f32>()?;
        let probabilities = values.chunks(values.len() / rows).collect();
        Ok(serde_json::to_vec(&Answer { probabilities })?)
    })
}

async fn answer(body: Bytes) -> Response {
    match predict(&body) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn serve(port: u16) -> std::io::Result<()> {
    let app = Router::new()
        .route("/predict", post(answer))
        .layer(DefaultBodyLimit::max(16 << 20));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await?
        .tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
    axum::serve(listener, app).await
}

fn main() -> Result<()> {
    let environment = ort::init_from(env::var("ONNXRUNTIME")?)?.build()?;
    ENVIRONMENT.get_or_init(|| environment);
    let workers = env::var("WORKERS")?.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()?;
    Ok(runtime.block_on(serve(env::var("PORT")?.parse()?))?)
}
