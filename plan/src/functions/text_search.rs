pub fn register(_: &mut super::lift::Table) {}
