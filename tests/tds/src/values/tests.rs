//! Values and the bytes of their types.

use engine_standin::Value;
use proptest::prelude::*;

use super::*;
use crate::reader::Reader;
use crate::types::{Shape, Type, read_info};

fn shape(declared: &str, nullable: bool) -> Shape {
    Shape { kind: Type::parse(declared).unwrap(), nullable }
}

fn written(declared: &str, value: &Value) -> Result<Vec<u8>, Unfit> {
    let mut out = Vec::new();
    write_value(&mut out, &shape(declared, true), value).map(|()| out)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Types, values and bytes with their length, as in section 2.2.5.5 of the specification. Each is read back, too.
fn both_ways() -> Vec<(&'static str, Value, Vec<u8>)> {
    vec![
        ("bit", Value::Int(1), vec![1, 1]),
        ("tinyint", Value::Int(255), vec![1, 255]),
        ("smallint", Value::Int(-2), vec![2, 0xfe, 0xff]),
        ("int", Value::Int(65536), vec![4, 0, 0, 1, 0]),
        ("bigint", Value::Int(-1), vec![8, 255, 255, 255, 255, 255, 255, 255, 255]),
        ("real", Value::Float(0.5), vec![4, 0, 0, 0, 0x3f]),
        ("float", Value::Float(-2.0), vec![8, 0, 0, 0, 0, 0, 0, 0, 0xc0]),
        ("smallmoney", text("-0.0001"), vec![4, 255, 255, 255, 255]),
        ("money", text("1.0000"), vec![8, 0, 0, 0, 0, 0x10, 0x27, 0, 0]),
        ("money", text("-922337203685477.5808"), vec![8, 0, 0, 0, 0x80, 0, 0, 0, 0]),
        ("decimal(9,2)", text("-12.50"), vec![5, 0, 0xe2, 4, 0, 0]),
        ("decimal(10,0)", text("7"), vec![9, 1, 7, 0, 0, 0, 0, 0, 0, 0]),
        ("numeric(20,1)", text("0.1"), vec![13, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("smalldatetime", text("1900-01-02 00:01:00"), vec![4, 1, 0, 1, 0]),
        ("datetime", text("1753-01-01 00:00:00"), vec![8, 0x46, 0x2e, 0xff, 0xff, 0, 0, 0, 0]),
        ("datetime", text("1900-01-01 00:00:00.003"), vec![8, 0, 0, 0, 0, 1, 0, 0, 0]),
        ("datetime", text("1900-01-01 00:00:00.997"), vec![8, 0, 0, 0, 0, 0x2b, 1, 0, 0]),
        ("date", text("0001-01-02"), vec![3, 1, 0, 0]),
        ("date", text("9999-12-31"), vec![3, 0xda, 0xb9, 0x37]),
        ("time(0)", text("00:00:01"), vec![3, 1, 0, 0]),
        ("time(7)", text("00:00:00.0000001"), vec![5, 1, 0, 0, 0, 0]),
        ("datetime2(3)", text("0001-01-01 00:00:00.001"), vec![7, 1, 0, 0, 0, 0, 0, 0]),
        ("datetimeoffset(0)", text("0001-01-01 02:00:01 +02:00"), vec![8, 1, 0, 0, 0, 0, 0, 120, 0]),
        ("char(3)", text("ü  "), vec![3, 0, 0xfc, b' ', b' ']),
        ("varchar(20) collate sql_latin1_general_cp850_ci_as", text("ü"), vec![1, 0, 0x81]),
        ("nvarchar(5)", text("aü"), vec![4, 0, b'a', 0, 0xfc, 0]),
        ("nvarchar(5)", text(""), vec![0, 0]),
        ("nchar(2)", text("a "), vec![4, 0, b'a', 0, b' ', 0]),
        ("binary(2)", Value::Bytes(vec![1, 0]), vec![2, 0, 1, 0]),
        ("varbinary(8)", Value::Bytes(vec![]), vec![0, 0]),
        ("varchar(max)", text("ab"), vec![2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0]),
        ("nvarchar(max)", text(""), vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("xml", text("<"), vec![2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, b'<', 0, 0, 0, 0, 0]),
        (
            "uniqueidentifier",
            text("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
            vec![16, 0xff, 0x19, 0x96, 0x6f, 0x86, 0x8b, 0x11, 0xd0, 0xb4, 0x2d, 0, 0xc0, 0x4f, 0xc9, 0x64, 0xff],
        ),
        ("sql_variant", Value::Int(7), vec![6, 0, 0, 0, 0x38, 0, 7, 0, 0, 0]),
        ("sql_variant", Value::Bytes(vec![9]), vec![5, 0, 0, 0, 0xa5, 2, 1, 0, 9]),
    ]
}

#[test]
fn values_have_the_bytes_of_the_specification() {
    for (declared, value, bytes) in both_ways() {
        assert_eq!(written(declared, &value).as_ref(), Ok(&bytes), "{declared} {value:?}");
        let mut reader = Reader::new(&bytes);
        assert_eq!(read_value(&mut reader, &shape(declared, true)), Ok(value), "{declared} {bytes:?}");
        assert!(reader.is_empty(), "{declared}");
    }
}

#[test]
fn values_are_brought_to_the_grid_of_their_type() {
    for (declared, value, bytes) in [
        ("datetime", "1900-01-01 00:00:00.0033333", vec![8, 0, 0, 0, 0, 1, 0, 0, 0]),
        ("datetime", "1900-01-01 23:59:59.999", vec![8, 1, 0, 0, 0, 0, 0, 0, 0]),
        ("smalldatetime", "1900-01-01 23:59:30", vec![4, 1, 0, 0, 0]),
        ("datetime2(0)", "0001-01-01 23:59:59.5", vec![6, 0, 0, 0, 1, 0, 0]),
        ("time(0)", "23:59:59.9", vec![3, 0x7f, 0x51, 1]),
        ("date", "0001-01-02 03:00:00", vec![3, 1, 0, 0]),
        ("char(2)", "a", vec![2, 0, b'a', b' ']),
        ("money", "0.00005", vec![8, 0, 0, 0, 0, 1, 0, 0, 0]),
        ("varchar(4)", "旋a", vec![2, 0, b'?', b'a']),
    ] {
        assert_eq!(written(declared, &text(value)), Ok(bytes), "{declared} {value}");
    }
}

#[test]
fn bytes_of_a_text_go_out_as_they_are() {
    for (declared, bytes) in
        [("varchar(9) collate japanese_ci_as", vec![0x81]), ("nvarchar(9)", vec![0x00, 0xd8]), ("char(2)", vec![1, 2])]
    {
        let expected = [&(bytes.len() as u16).to_le_bytes()[..], &bytes].concat();
        assert_eq!(written(declared, &Value::Bytes(bytes)), Ok(expected), "{declared}");
    }
}

#[test]
fn null_has_a_mark_in_every_form() {
    for (declared, bytes) in [
        ("int", vec![0]),
        ("decimal(9,2)", vec![0]),
        ("datetime2(7)", vec![0]),
        ("nvarchar(5)", vec![255, 255]),
        ("varbinary(max)", vec![255; 8]),
        ("sql_variant", vec![0, 0, 0, 0]),
    ] {
        assert_eq!(written(declared, &Value::Null).as_ref(), Ok(&bytes), "{declared}");
        assert_eq!(read_value(&mut Reader::new(&bytes), &shape(declared, true)), Ok(Value::Null), "{declared}");
    }
    assert_eq!(written("ntext", &Value::Null), Ok(vec![0]));
    assert!(write_value(&mut Vec::new(), &shape("int", false), &Value::Null).is_err());
}

#[test]
fn a_type_without_null_has_no_length() {
    let mut out = Vec::new();
    write_value(&mut out, &shape("int", false), &Value::Int(1)).unwrap();
    assert_eq!(out, [1, 0, 0, 0]);
}

#[test]
fn an_old_long_value_has_a_pointer_before_it() {
    let out = written("text", &text("ab")).unwrap();
    assert_eq!((out[0], out.len()), (16, 1 + 16 + 8 + 4 + 2));
    assert_eq!(out[25..], [2, 0, 0, 0, b'a', b'b']);
}

#[test]
fn a_row_version_begins_with_its_highest_byte() {
    assert_eq!(written("rowversion", &Value::Int(2001)), Ok(vec![8, 0, 0, 0, 0, 0, 0, 0, 7, 0xd1]));
}

#[test]
fn a_variant_may_name_its_type() {
    for (value, bytes) in [
        ("(decimal(9,2)) 1.00", vec![9, 0, 0, 0, 0x6a, 2, 9, 2, 1, 100, 0, 0, 0]),
        ("(date) 0001-01-02", vec![5, 0, 0, 0, 0x28, 0, 1, 0, 0]),
        ("(varchar(9)) a", vec![10, 0, 0, 0, 0xa7, 7, 9, 4, 0xd0, 0, 0x34, 1, 0, b'a']),
        ("(no type) a", [&[31, 0, 0, 0, 0xe7, 7, 9, 4, 0xd0, 0, 0x34, 22, 0][..], &utf16_of("(no type) a")].concat()),
    ] {
        assert_eq!(written("sql_variant", &text(value)), Ok(bytes), "{value}");
    }
}

fn utf16_of(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn what_does_not_fit_its_type_is_said() {
    for (declared, value) in [
        ("tinyint", Value::Int(256)),
        ("int", text("x")),
        ("date", text("2025-02-30")),
        ("decimal(3,1)", text("100.0")),
        ("nvarchar(1)", text("ab")),
        ("varbinary(5)", text("ab")),
        ("uniqueidentifier", text("6f96")),
        ("smalldatetime", text("1899-12-31 00:00:00")),
    ] {
        assert!(written(declared, &value).is_err(), "{declared} {value:?}");
    }
}

#[test]
fn values_that_no_calendar_has_are_refused() {
    for (declared, bytes) in [
        ("date", vec![3, 0xff, 0xff, 0xff]),
        ("time(0)", vec![3, 0xff, 0xff, 0xff]),
        ("datetime", vec![8, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]),
        ("datetimeoffset(0)", vec![8, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
        ("int", vec![3, 0, 0, 0]),
        ("varchar(max)", vec![9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, b'a', 0, 0, 0, 0]),
        ("nvarchar(5)", vec![4, 0, b'a']),
    ] {
        assert!(read_value(&mut Reader::new(&bytes), &shape(declared, true)).is_err(), "{declared} {bytes:?}");
    }
}

proptest! {
    #[test]
    fn no_value_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut reader = Reader::new(&bytes);
        if let Ok(shape) = read_info(&mut reader) {
            let _ = read_value(&mut reader, &shape);
        }
    }

    #[test]
    fn no_bytes_of_a_known_type_make_it_panic(at in 0_usize..35, bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let all = both_ways();
        let (declared, ..) = &all[at % all.len()];
        let _ = read_value(&mut Reader::new(&bytes), &shape(declared, true));
    }

    #[test]
    fn moments_come_back_as_they_went(days in 0_i64..3_652_059, ticks in 0_u64..864_000_000_000) {
        let moment = moment::Moment { days, ticks };
        let value = Value::Text(moment.text());
        let bytes = written("datetime2(7)", &value).unwrap();
        prop_assert_eq!(read_value(&mut Reader::new(&bytes), &shape("datetime2(7)", true)), Ok(value));
    }
}
