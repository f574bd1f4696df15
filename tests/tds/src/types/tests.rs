//! Names of types, and their descriptions on the wire.

use super::*;
use crate::reader::Reader;

#[test]
fn names_are_read_and_written() {
    for (declared, canonical) in [
        ("int", "int"),
        ("INT", "int"),
        ("float(24)", "real"),
        ("float(53)", "float"),
        ("double precision", "float"),
        ("decimal", "decimal(18,0)"),
        ("decimal(5)", "decimal(5,0)"),
        ("numeric( 10 , 2 )", "numeric(10,2)"),
        ("datetime2", "datetime2(7)"),
        ("time(0)", "time(0)"),
        ("varchar(20) collate SQL_Latin1_General_CP850_CI_AS", "varchar(20)"),
        ("varchar", "varchar(1)"),
        ("nvarchar(max)", "nvarchar(max)"),
        ("sysname", "nvarchar(128)"),
        ("rowversion", "timestamp"),
        ("hierarchyid", "hierarchyid"),
        ("sql_variant", "sql_variant"),
    ] {
        assert_eq!(Type::parse(declared).map(|kind| kind.to_string()).as_deref(), Some(canonical), "{declared}");
    }
}

#[test]
fn what_the_server_has_not_is_no_type() {
    for declared in [
        "",
        "blob",
        "varchar(",
        "varchar(0)",
        "varchar(8001)",
        "nvarchar(4001)",
        "decimal(39,0)",
        "decimal(5,6)",
        "time(8)",
        "int(max)",
        "varchar(5) collate klingon",
    ] {
        assert_eq!(Type::parse(declared), None, "{declared}");
    }
}

/// Types, and their descriptions where null is allowed, as in section 2.2.5.6 of the specification.
const DESCRIPTIONS: &[(&str, &[u8])] = &[
    ("bit", &[0x68, 1]),
    ("tinyint", &[0x26, 1]),
    ("smallint", &[0x26, 2]),
    ("int", &[0x26, 4]),
    ("bigint", &[0x26, 8]),
    ("real", &[0x6d, 4]),
    ("float", &[0x6d, 8]),
    ("smallmoney", &[0x6e, 4]),
    ("money", &[0x6e, 8]),
    ("smalldatetime", &[0x6f, 4]),
    ("datetime", &[0x6f, 8]),
    ("decimal(9,2)", &[0x6a, 5, 9, 2]),
    ("numeric(38,10)", &[0x6c, 17, 38, 10]),
    ("date", &[0x28]),
    ("time(3)", &[0x29, 3]),
    ("datetime2(7)", &[0x2a, 7]),
    ("datetimeoffset(0)", &[0x2b, 0]),
    ("char(5)", &[0xaf, 5, 0, 9, 4, 0xd0, 0, 0x34]),
    ("varchar(20)", &[0xa7, 20, 0, 9, 4, 0xd0, 0, 0x34]),
    ("varchar(max)", &[0xa7, 0xff, 0xff, 9, 4, 0xd0, 0, 0x34]),
    ("nchar(5)", &[0xef, 10, 0, 9, 4, 0xd0, 0, 0x34]),
    ("nvarchar(4000)", &[0xe7, 0x40, 0x1f, 9, 4, 0xd0, 0, 0x34]),
    ("text", &[0x23, 0xff, 0xff, 0xff, 0x7f, 9, 4, 0xd0, 0, 0x34]),
    ("ntext", &[0x63, 0xff, 0xff, 0xff, 0x7f, 9, 4, 0xd0, 0, 0x34]),
    ("image", &[0x22, 0xff, 0xff, 0xff, 0x7f]),
    ("binary(3)", &[0xad, 3, 0]),
    ("varbinary(max)", &[0xa5, 0xff, 0xff]),
    ("uniqueidentifier", &[0x24, 16]),
    ("xml", &[0xf1, 0]),
    ("sql_variant", &[0x62, 0x49, 0x1f, 0, 0]),
];

#[test]
fn descriptions_have_the_bytes_of_the_specification() {
    for (declared, bytes) in DESCRIPTIONS {
        let shape = Shape { kind: Type::parse(declared).unwrap(), nullable: true };
        let mut written = Vec::new();
        shape.write(&mut written);
        assert_eq!(&written, bytes, "{declared}");
        assert_eq!(read_info(&mut Reader::new(bytes)), Ok(shape), "{declared}");
    }
}

#[test]
fn types_that_are_never_null_have_a_form_of_their_own() {
    for (declared, number, size) in [
        ("bit", 0x32, 1),
        ("tinyint", 0x30, 1),
        ("smallint", 0x34, 2),
        ("int", 0x38, 4),
        ("bigint", 0x7f, 8),
        ("real", 0x3b, 4),
        ("float", 0x3e, 8),
        ("smallmoney", 0x7a, 4),
        ("money", 0x3c, 8),
        ("smalldatetime", 0x3a, 4),
        ("datetime", 0x3d, 8),
    ] {
        let shape = Shape { kind: Type::parse(declared).unwrap(), nullable: false };
        let mut written = Vec::new();
        shape.write(&mut written);
        assert_eq!((written.as_slice(), shape.fixed_bytes()), (&[number][..], Some(size)), "{declared}");
        assert_eq!(read_info(&mut Reader::new(&[number])), Ok(shape), "{declared}");
    }
}

#[test]
fn descriptions_that_are_none_are_refused() {
    for bytes in [&[][..], &[0x26, 3], &[0x6a, 17, 39, 0], &[0x29, 8], &[0xe7, 1], &[0xf3], &[0x00]] {
        assert!(read_info(&mut Reader::new(bytes)).is_err(), "{bytes:?}");
    }
}
