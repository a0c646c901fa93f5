//! What lies at providers: whose it is, and for how long it is known.

use domain::{AppName, UnixMicros};
use store::{Binding, Bindings, OpenOptions, Page, Store, Thing};

fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

fn second(seconds: i64) -> UnixMicros {
    UnixMicros::from_secs(seconds)
}

fn file(app_name: &str, id: &str, purpose: &str, ends_at: i64) -> Binding {
    Binding {
        thing: Thing::File,
        app: app(app_name),
        id: id.to_owned(),
        provider: "openai".to_owned(),
        dialect: "openai-chat".to_owned(),
        credential: Some(u64::MAX - 1),
        purpose: purpose.to_owned(),
        made_at: second(1),
        ends_at: second(ends_at),
        said: format!("{{\"id\":\"{id}\"}}"),
        note: String::new(),
    }
}

fn page(bindings: &Bindings, page: Page, now: i64) -> (Vec<String>, bool) {
    let found = bindings.list(Thing::File, &app("web"), "openai-chat", page, second(now));
    let (found, more) = found.wait().unwrap();
    (found.into_iter().map(|it| it.id).collect(), more)
}

#[test]
fn an_id_is_one_applications_also_after_a_new_start() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    let bindings = store.bindings();
    let mine = file("web", "a", "batch", 100);
    bindings.put(mine.clone()).wait().unwrap();
    bindings.put(file("shop", "a", "vision", 100)).wait().unwrap();
    drop((bindings, store));

    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    let bindings = store.bindings();
    let get =
        |thing, name: &str, now| bindings.get(thing, &app(name), "a", second(now)).wait().unwrap();
    assert_eq!(get(Thing::File, "web", 2), Some(mine.clone()));
    assert_eq!(get(Thing::File, "other", 2), None);
    assert_eq!(get(Thing::Batch, "web", 2), None);
    assert_eq!(get(Thing::File, "web", 100), None, "its time is over");
    let more = Binding { said: "{}".to_owned(), ..mine };
    bindings.put(more.clone()).wait().unwrap();
    assert_eq!(get(Thing::File, "web", 2), Some(more));
    assert!(bindings.delete(Thing::File, &app("web"), "a").wait().unwrap());
    assert!(!bindings.delete(Thing::File, &app("web"), "a").wait().unwrap());
    assert!(get(Thing::File, "shop", 2).is_some());
    assert_eq!(store.kept().sweep(second(100)).wait().unwrap(), 1);
}

#[test]
fn lists_are_paged_from_either_end() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(&OpenOptions::new(dir.path())).unwrap();
    let bindings = store.bindings();
    for (id, purpose) in [("a", "batch"), ("b", "vision"), ("c", "batch")] {
        bindings.put(file("web", id, purpose, 100)).wait().unwrap();
    }
    let of = |limit, after: Option<&str>| Page {
        limit,
        after: after.map(str::to_owned),
        ..Page::default()
    };
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(page(&bindings, of(2, None), 2), (ids(&["c", "b"]), true));
    assert_eq!(page(&bindings, of(2, Some("b")), 2), (ids(&["a"]), false));
    let oldest = Page { oldest_first: true, ..of(2, Some("a")) };
    assert_eq!(page(&bindings, oldest, 2), (ids(&["b", "c"]), false));
    let batch = Page { purpose: Some("batch".to_owned()), ..of(5, None) };
    assert_eq!(page(&bindings, batch, 2), (ids(&["c", "a"]), false));
    assert_eq!(page(&bindings, of(5, None), 100), (Vec::new(), false));
}
