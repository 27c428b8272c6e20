use super::Numeric;
use crate::EvalError;
#[rustfmt::skip]
impl Numeric {
    pub fn power(&self, _exponent: &Numeric) -> Result<Numeric, EvalError> { todo!() }
    pub fn sqrt(&self) -> Result<Numeric, EvalError> { todo!() }
    pub fn exp(&self) -> Result<Numeric, EvalError> { todo!() }
    pub fn ln(&self) -> Result<Numeric, EvalError> { todo!() }
    pub fn log(&self, _base: &Numeric) -> Result<Numeric, EvalError> { todo!() }
}
