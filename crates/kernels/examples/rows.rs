//! Prints the registry of this architecture, for `cargo xtask isa-table`: a line `arch <name>`, then
//! `<op> <kernel> <instruction set>` for every row.

fn main() {
    println!("arch {}", std::env::consts::ARCH);
    for row in fewbit_kernels::rows() {
        println!("{} {} {}", row.op, row.name, fewbit_testkit::set_name(row.required));
    }
}
