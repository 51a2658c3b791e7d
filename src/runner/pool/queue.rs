//! The requests of a call that nobody has been handed yet.

use crate::gym::ports::ChatRequest;

/// In which order requests are handed out: as they were asked, until somebody works on several at a time. Then those of
/// like length go together over the whole job, because only sequences of equal length run as one batch. Every answer
/// still belongs to the request's own place.
pub(super) struct Queue<'a> {
    requests: &'a [ChatRequest],
    waiting: Vec<usize>,
    next: usize,
    grouped: bool,
}

impl<'a> Queue<'a> {
    pub(super) fn new(requests: &'a [ChatRequest]) -> Self {
        Self { requests, waiting: (0..requests.len()).collect(), next: 0, grouped: false }
    }

    /// How many nobody has been handed.
    pub(super) fn left(&self) -> usize {
        self.waiting.len() - self.next
    }

    /// The next requests with their places, for somebody who works on several at a time or not.
    pub(super) fn take(&mut self, count: usize, several: bool) -> Vec<(usize, ChatRequest)> {
        if several && !self.grouped {
            self.grouped = true;
            // A stable order: the same job is handed out alike.
            self.waiting[self.next..].sort_by_key(|index| self.requests[*index].prompt.len());
        }
        let until = self.next + count.min(self.left());
        let share = self.waiting[self.next..until].iter();
        let share = share.map(|index| (*index, self.requests[*index].clone())).collect();
        self.next = until;
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::ports::Sampling;

    fn requests(lengths: &[usize]) -> Vec<ChatRequest> {
        lengths.iter().map(|length| ChatRequest::text("x".repeat(*length), Sampling::Greedy, 1)).collect()
    }

    fn places(share: &[(usize, ChatRequest)]) -> Vec<usize> {
        share.iter().map(|(index, _)| *index).collect()
    }

    #[test]
    fn a_whole_job_is_grouped_by_length_before_it_is_cut_into_chunks() {
        let requests = requests(&[9, 2, 9, 2, 9, 2]);
        let mut queue = Queue::new(&requests);
        let chunks = [queue.take(3, true), queue.take(3, true)];
        assert_eq!(chunks.each_ref().map(|chunk| places(chunk)), [vec![1, 3, 5], vec![0, 2, 4]]);
        assert!(chunks.iter().flatten().all(|(index, request)| request.prompt == requests[*index].prompt));
        assert_eq!((queue.left(), queue.take(1, true).len()), (0, 0));
    }

    #[test]
    fn one_at_a_time_the_order_stays_until_somebody_takes_several() {
        let requests = requests(&[5, 4, 3, 2, 1]);
        let mut queue = Queue::new(&requests);
        assert_eq!(places(&queue.take(2, false)), [0, 1]);
        assert_eq!(places(&queue.take(1, true)), [4]);
        assert_eq!(places(&queue.take(9, false)), [3, 2]);
    }
}
