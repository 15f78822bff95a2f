// SPDX-License-Identifier: GPL-2.0

//! The account that a lender keeps.

use std::{
    cell::RefCell,
    ops::ControlFlow, //
};
use tdx::{
    abi::{
        Hkid,
        Pfn, //
    },
    sept::{
        Host as _,
        Memory, //
    },
    td::{
        Host,
        Leak,
        Lender,
        Resources, //
    },
};

/// Pages that count up from a first one.
#[derive(Default)]
struct Pages {
    taken: RefCell<Vec<u64>>,
    freed: RefCell<Vec<u64>>,
}

impl Resources for Pages {
    fn alloc(&self) -> Option<Pfn> {
        let mut taken = self.taken.borrow_mut();
        let page = 0x100 + taken.len() as u64;
        taken.push(page);
        Pfn::new(page)
    }

    fn free(&self, page: Pfn) {
        self.freed.borrow_mut().push(page.get());
    }

    fn write(&self, _page: Pfn, _words: &[u64]) {}

    fn alloc_keyid(&self) -> Option<Hkid> {
        None
    }

    fn free_keyid(&self, _hkid: Hkid) {}

    fn global_keyid(&self) -> Hkid {
        Hkid::new(32)
    }

    fn on_each_cpu(&self, f: &mut dyn FnMut() -> ControlFlow<()>) {
        let _ = f();
    }

    fn complain(&self, _leak: &Leak) {}
}

fn memory(first: u64, pages: u64) -> Memory {
    Memory {
        first: Pfn::new(first).unwrap(),
        pages,
    }
}

/// All that the TD is told of at its end.
fn lent(lender: &mut Lender<&Pages>) -> Vec<Memory> {
    std::iter::from_fn(|| lender.lent()).collect()
}

#[test]
fn pages_go_back_where_they_came_from() {
    let pages = Pages::default();
    let mut lender = Lender::new(&pages);
    let [first, second] = [(); 2].map(|()| lender.take_page().unwrap());
    lender.return_page(first);
    assert_eq!(*pages.freed.borrow(), [first.get()]);
    // At its end a TD is told of a page once, and says when it is back.
    assert_eq!(lent(&mut lender), [memory(second.get(), 1)]);
    lender.memory_back(memory(second.get(), 1));
    assert_eq!(*pages.freed.borrow(), [first.get(), second.get()]);
    assert_eq!(lent(&mut lender), []);
}

#[test]
fn memory_of_the_user_is_never_freed() {
    let pages = Pages::default();
    let mut lender = Lender::new(&pages);
    assert!(lender.lend(memory(0x1000, 8)));
    lender.memory_back(memory(0x1000, 8));
    assert_eq!(lent(&mut lender), []);
    assert_eq!(*pages.freed.borrow(), []);
}

#[test]
fn a_page_that_was_taken_is_on_account_once() {
    let pages = Pages::default();
    let mut lender = Lender::new(&pages);
    let page = lender.take_page().unwrap();
    assert!(lender.lend(memory(page.get(), 1)));
    assert_eq!(lent(&mut lender), [memory(page.get(), 1)]);
}

#[test]
fn whatever_comes_back_in_pieces_the_rest_stays_on_account() {
    let pages = Pages::default();
    let mut lender = Lender::new(&pages);
    assert!(lender.lend(memory(0x1000, 200)));
    assert!(lender.lend(memory(0x2000, 4)));
    // Every second page, which leaves more pieces than there were.
    for n in 0..100 {
        lender.memory_back(memory(0x1000 + 2 * n, 1));
    }
    // Across the beginning and the end.
    lender.memory_back(memory(0x1FFF, 2));
    lender.memory_back(memory(0x2003, 5));
    let rest = lent(&mut lender);
    let odd = (0..100).map(|n| memory(0x1001 + 2 * n, 1));
    let expected: Vec<_> = odd.chain([memory(0x2001, 2)]).collect();
    assert_eq!(rest, expected);
    assert_eq!(lent(&mut lender), []);
}

#[test]
fn memory_too_large_for_an_account_is_not_lent() {
    let pages = Pages::default();
    let mut lender = Lender::new(&pages);
    assert!(!lender.lend(memory(0, 1 << 40)));
    assert_eq!(lent(&mut lender), []);
}
