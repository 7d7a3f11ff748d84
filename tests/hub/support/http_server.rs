//! An HTTP server on a port of its own, which ends with the test.

use poem::{
    Request, Response, Server, endpoint,
    listener::{Acceptor, Listener, TcpListener},
};
use tokio::task::JoinHandle;

pub struct HttpServer {
    /// Its address as a URL, without a path.
    pub url: String,
    serving: JoinHandle<()>,
}

impl HttpServer {
    /// Starts a server that answers each request by this function.
    pub async fn start<A, F>(answer: A) -> Self
    where
        A: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = poem::Result<Response>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0");
        let acceptor = listener.into_acceptor().await.unwrap();
        let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        let answer = endpoint::make(answer);
        let serving = tokio::spawn(async move {
            let _ = Server::new_with_acceptor(acceptor).run(answer).await;
        });
        Self {
            url: format!("http://{address}"),
            serving,
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
