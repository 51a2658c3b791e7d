//! Digit-wise working: the short, fixed format that lets a small student be right.

use std::fmt::Write as _;

fn digits(mut number: u64, width: usize) -> Vec<u64> {
    let mut out = Vec::with_capacity(width);
    while out.len() < width || number > 0 {
        out.push(number % 10);
        number /= 10;
    }
    out
}

fn width(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// Column addition from the right; a carry is the last term of its column: `1+9=10. 8+0+1=9. 5+0=5.`
pub(super) fn addition(a: u64, b: u64) -> String {
    let columns = width(a).max(width(b));
    let mut out = String::new();
    let mut carry = 0;
    for (x, y) in digits(a, columns).into_iter().zip(digits(b, columns)) {
        let sum = x + y + carry;
        let _ = if carry > 0 { write!(out, "{x}+{y}+1={sum}. ") } else { write!(out, "{x}+{y}={sum}. ") };
        carry = sum / 10;
    }
    out.truncate(out.trim_end().len());
    out
}

/// Column subtraction from the right, `a >= b`; a borrowed column is written with ten added:
/// `12-8=4. 7-4=3.`
pub(super) fn subtraction(a: u64, b: u64) -> String {
    let columns = width(a);
    let mut out = String::new();
    let mut borrow = 0;
    for (x, y) in digits(a, columns).into_iter().zip(digits(b, columns)) {
        let top = if x >= y + borrow { x - borrow } else { x + 10 - borrow };
        borrow = u64::from(x < y + borrow);
        let _ = write!(out, "{top}-{y}={}. ", top - y);
    }
    out.truncate(out.trim_end().len());
    out
}

/// Products of the places of `a`, then their running sum: `10*8=80. 8*8=64. 80+64=144.`
pub(super) fn product(a: u64, b: u64) -> String {
    let mut parts = Vec::new();
    let mut place = 10_u64.pow(width(a) as u32 - 1);
    while place > 0 {
        let digit = a / place % 10;
        if digit > 0 {
            parts.push(digit * place);
        }
        place /= 10;
    }
    let mut out = String::new();
    for part in &parts {
        let _ = write!(out, "{part}*{b}={}. ", part * b);
    }
    let mut sum = parts.first().map_or(0, |part| part * b);
    for part in parts.iter().skip(1) {
        let _ = write!(out, "{sum}+{}={}. ", part * b, sum + part * b);
        sum += part * b;
    }
    out.truncate(out.trim_end().len());
    out
}

/// Short division by one digit: quotient, product and difference for each digit of the quotient:
/// `28/8=3. 3*8=24. 28-24=4. 47/8=5. 5*8=40. 47-40=7.`
pub(super) fn division(a: u64, b: u64) -> String {
    let mut out = String::new();
    let mut rest = 0;
    let mut started = false;
    for digit in digits(a, 1).into_iter().rev() {
        rest = rest * 10 + digit;
        let times = rest / b;
        if times > 0 || started {
            started = true;
            let product = times * b;
            let left = rest - product;
            let _ = write!(out, "{rest}/{b}={times}. {times}*{b}={product}. {rest}-{product}={left}. ");
        }
        rest -= times * b;
    }
    out.truncate(out.trim_end().len());
    out
}

/// Whether adding carries in any column.
pub(super) fn carries(a: u64, b: u64) -> bool {
    let columns = width(a).max(width(b));
    digits(a, columns).into_iter().zip(digits(b, columns)).any(|(x, y)| x + y > 9)
}

/// Whether subtracting borrows in any column.
pub(super) fn borrows(a: u64, b: u64) -> bool {
    let columns = width(a).max(width(b));
    digits(a, columns).into_iter().zip(digits(b, columns)).any(|(x, y)| x < y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_reads_as_documented() {
        assert_eq!(addition(581, 9), "1+9=10. 8+0+1=9. 5+0=5.");
        assert_eq!(addition(10, 7), "0+7=7. 1+0=1.");
        assert_eq!(addition(95, 17), "5+7=12. 9+1+1=11.");
        assert_eq!(subtraction(82, 48), "12-8=4. 7-4=3.");
        assert_eq!(subtraction(26, 1), "6-1=5. 2-0=2.");
        assert_eq!(subtraction(500, 1), "10-1=9. 9-0=9. 4-0=4.");
        assert_eq!(product(18, 8), "10*8=80. 8*8=64. 80+64=144.");
        assert_eq!(product(207, 3), "200*3=600. 7*3=21. 600+21=621.");
        assert_eq!(product(20, 3), "20*3=60.");
        assert_eq!(division(9, 4), "9/4=2. 2*4=8. 9-8=1.");
        assert_eq!(division(287, 8), "28/8=3. 3*8=24. 28-24=4. 47/8=5. 5*8=40. 47-40=7.");
        assert_eq!(division(201, 4), "20/4=5. 5*4=20. 20-20=0. 1/4=0. 0*4=0. 1-0=1.");
    }
}
