//! Asks for what it was not granted. A row's cell is a list of texts, split by
//! `|`: method, path, and a header's name and value, or `part` and a multipart part's name and file name.
//! `~` stands for a carriage return and a line feed, `^` for a tab.

use sluice_hostile::*;

struct Guest;

impl Tame for Guest {
    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |what| {
            let plain = what.replace('~', "\r\n").replace('^', "\t");
            let texts: Vec<&str> = plain.split('|').collect();
            let mut request = request(texts[0], texts[1]);
            match texts[2..] {
                ["part", name, file_name] => {
                    request.body = Body::Multipart(vec![Part {
                        name: name.to_owned(),
                        file_name: Some(file_name.to_owned()),
                        content_type: None,
                        content: Content::Bytes(b"x".to_vec()),
                    }]);
                }
                ["staged", id] => {
                    request.body = Body::Multipart(vec![Part {
                        name: "file".to_owned(),
                        file_name: None,
                        content_type: None,
                        content: Content::Staged(id.to_owned()),
                    }]);
                }
                ["query", name, value] => request.query = vec![(name.to_owned(), value.to_owned())],
                [name, value] => request.headers = vec![(name.to_owned(), value.to_owned())],
                _ => {}
            }
            outcome(&http::send(&request))
        }))
    }
}

hostile!(Guest);
