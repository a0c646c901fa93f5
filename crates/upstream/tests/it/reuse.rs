//! Reuse, stale connections, cancelling.

use std::time::{Duration, Instant};

use domain::ErrorClass;
use upstream::Stage;

use crate::raw::{Then, answer, pool, post, read, run, serve};

#[test]
fn a_read_answer_gives_the_connection_back() {
    run(async {
        let server = serve(|n| (answer(&n.to_string()), Then::Keep)).await;
        let (pool, target) = (pool(), server.target());
        for n in 0..50 {
            let incoming = post(&pool, &target).await.unwrap();
            assert_eq!(incoming.body.exact_len(), Some(n.to_string().len() as u64));
            assert_eq!(read(incoming).await.unwrap(), n.to_string().as_bytes());
        }
        assert_eq!(server.connections(), 1);
        assert_eq!(pool.connections(), 1);
    });
}

#[test]
fn chunked_and_empty_answers_give_it_back_too() {
    run(async {
        let server = serve(|n| {
            let text = match n % 3 {
                0 => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                1 => "HTTP/1.1 204 No Content\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            };
            (text.as_bytes().to_vec(), Then::Keep)
        })
        .await;
        let (pool, target) = (pool(), server.target());
        for n in 0..9 {
            let body = read(post(&pool, &target).await.unwrap()).await.unwrap();
            assert_eq!(body, if n % 3 == 0 { b"abc".as_slice() } else { b"" });
        }
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn a_connection_closed_while_idle_is_replaced_unnoticed() {
    run(async {
        let mut server = serve(|_| (answer("x"), Then::Close)).await;
        let (pool, target) = (pool(), server.target());
        for n in 1..20 {
            read(post(&pool, &target).await.unwrap()).await.unwrap();
            server.closed.recv().await.unwrap();
            assert_eq!(server.connections(), n);
        }
    });
}

#[test]
fn a_request_that_was_written_is_never_sent_twice() {
    run(async {
        let server = serve(|n| match n {
            0 => (answer("x"), Then::Keep),
            // Takes the second request and hangs up without a byte.
            _ => (Vec::new(), Then::Close),
        })
        .await;
        let (pool, target) = (pool(), server.target());
        read(post(&pool, &target).await.unwrap()).await.unwrap();
        let error = post(&pool, &target).await.err().unwrap();
        assert!(error.sent, "{error:?}");
        assert_eq!((error.class, error.stage), (ErrorClass::BadResponse, Stage::FirstByte));
        assert_eq!(server.connections(), 1, "no second connection, so no second try");
    });
}

#[test]
fn dropping_a_body_closes_the_connection_at_once() {
    run(async {
        let endless = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        let mut server = serve(move |_| (endless.as_bytes().to_vec(), Then::Hold)).await;
        let (pool, target) = (pool(), server.target());
        for _ in 0..100 {
            let mut incoming = post(&pool, &target).await.unwrap();
            assert_eq!(incoming.body.frame().await.unwrap().unwrap(), "hello");
            let begun = Instant::now();
            drop(incoming);
            server.closed.recv().await.unwrap();
            assert!(begun.elapsed() < Duration::from_millis(250));
            assert_eq!(pool.connections(), 0, "a cancelled connection is not reused");
        }
    });
}

#[test]
fn dropping_the_wait_for_the_head_closes_the_connection_at_once() {
    run(async {
        let mut server = serve(|_| (Vec::new(), Then::Hold)).await;
        let (pool, target) = (pool(), server.target());
        tokio::time::timeout(Duration::from_millis(50), post(&pool, &target)).await.err().unwrap();
        let begun = Instant::now();
        server.closed.recv().await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(250));
    });
}

#[test]
fn no_byte_of_a_cancelled_answer_reaches_the_next_request() {
    run(async {
        let server = serve(|n| {
            if n % 2 == 0 {
                (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nSTALE".to_vec(), Then::Hold)
            } else {
                (answer("fresh"), Then::Keep)
            }
        })
        .await;
        let (pool, target) = (pool(), server.target());
        for _ in 0..500 {
            let mut cancelled = post(&pool, &target).await.unwrap();
            cancelled.body.frame().await.unwrap().unwrap();
            drop(cancelled);
            assert_eq!(read(post(&pool, &target).await.unwrap()).await.unwrap(), b"fresh");
        }
    });
}

#[test]
fn unasked_bytes_on_an_idle_connection_end_it() {
    run(async {
        let server = serve(|n| {
            let mut bytes = answer("one");
            if n == 0 {
                bytes.extend_from_slice(&answer("poison"));
            }
            (bytes, Then::Keep)
        })
        .await;
        let (pool, target) = (pool(), server.target());
        for _ in 0..3 {
            assert_eq!(read(post(&pool, &target).await.unwrap()).await.unwrap(), b"one");
        }
    });
}

#[test]
fn the_sweep_closes_what_the_server_closed() {
    run(async {
        let mut server = serve(|_| (answer("x"), Then::Close)).await;
        let (pool, target) = (pool(), server.target());
        read(post(&pool, &target).await.unwrap()).await.unwrap();
        server.closed.recv().await.unwrap();
        tokio::task::yield_now().await;
        pool.sweep();
        assert_eq!(pool.connections(), 0);
    });
}

#[test]
fn an_announced_keep_alive_time_is_kept_with_a_margin() {
    run(async {
        let short =
            "HTTP/1.1 200 OK\r\nkeep-alive: timeout=1, max=100\r\ncontent-length: 1\r\n\r\nx";
        let server = serve(move |_| (short.as_bytes().to_vec(), Then::Keep)).await;
        let (pool, target) = (pool(), server.target());
        for _ in 0..3 {
            read(post(&pool, &target).await.unwrap()).await.unwrap();
        }
        assert_eq!(server.connections(), 3, "timeout=1 leaves no safe time to reuse it");
    });
}
