//! Sums and products of matrices.

use crate::tasks::math::expression::Expression;

/// Rows or columns of a matrix that is calculated with.
const WIDEST: usize = 8;

type Rows = Vec<Vec<Expression>>;

/// An expression of matrices carried out; `None` when it has no matrix, or they do not fit.
pub(super) fn folded(expression: &Expression) -> Option<Expression> {
    if matches!(expression, Expression::Matrix(_))
        || !expression.any(&|part| matches!(part, Expression::Matrix(_)))
    {
        return None;
    }
    rows(expression).map(Expression::Matrix)
}

fn rows(expression: &Expression) -> Option<Rows> {
    match expression {
        Expression::Matrix(rows) => {
            (rows.len() <= WIDEST && rows.first()?.len() <= WIDEST).then(|| rows.clone())
        }
        Expression::Sum(terms) => {
            let (first, rest) = terms.split_first()?;
            rest.iter().try_fold(rows(first)?, |sum, term| {
                let term = rows(term)?;
                let fits = sum.len() == term.len() && sum.first()?.len() == term.first()?.len();
                let added = |(a, b): (Vec<Expression>, Vec<Expression>)| {
                    a.into_iter().zip(b).map(|(a, b)| Expression::Sum(vec![a, b])).collect()
                };
                fits.then(|| sum.into_iter().zip(term).map(added).collect())
            })
        }
        Expression::Product(factors) => {
            let mut scale = Vec::new();
            let mut product: Option<Rows> = None;
            for factor in factors {
                if factor.any(&|part| matches!(part, Expression::Matrix(_))) {
                    let right = rows(factor)?;
                    product = Some(match product {
                        Some(left) => times(&left, &right)?,
                        None => right,
                    });
                } else {
                    scale.push(factor.clone());
                }
            }
            let scaled = |cell: &Expression| {
                let mut factors = scale.clone();
                factors.push(cell.clone());
                if scale.is_empty() { cell.clone() } else { Expression::Product(factors) }
            };
            Some(product?.iter().map(|row| row.iter().map(scaled).collect()).collect())
        }
        _ => None,
    }
}

fn times(left: &Rows, right: &Rows) -> Option<Rows> {
    let width = right.first()?.len();
    (left.first()?.len() == right.len()).then(|| {
        let cell = |row: &Vec<Expression>, column: usize| {
            let parts =
                row.iter().zip(right).map(|(a, b)| Expression::Product(vec![a.clone(), b[column].clone()]));
            Expression::Sum(parts.collect())
        };
        left.iter().map(|row| (0..width).map(|column| cell(row, column)).collect()).collect()
    })
}
