/** Attribute forms of DWARF 2 to 5 (section 7.5.6), with the GNU ones that producers still write: how long a value is, and what it means. */
import { type DwarfReader, type DwarfSections, stringAt } from './dwarf-reader.js';

/** What reading a value depends on. */
export interface FormContext {
  readonly sections: DwarfSections;
  /** Bytes of an address: 4 in wasm, 8 in an object for a 64-bit machine. */
  readonly addressSize: number;
  /** 64-bit DWARF: offsets have 8 bytes. */
  readonly wide: boolean;
  readonly version: number;
}

/** The kinds of value that somebody asks for; `other` has been read past. An offset of a string is in .debug_str or .debug_line_str; an index is into .debug_str_offsets, .debug_addr or .debug_rnglists of the unit. */
export type FormValue =
  | { readonly kind: 'number' | 'address' | 'unitRef' | 'infoRef' | 'stringOffset' | 'lineStringOffset' | 'stringIndex' | 'addressIndex' | 'rangesIndex' | 'offset'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'other'; readonly value?: undefined };

const OTHER: FormValue = { kind: 'other' };

enum F {
  addr = 0x01, block2 = 0x03, block4 = 0x04, data2 = 0x05, data4 = 0x06, data8 = 0x07, string = 0x08, block = 0x09, block1 = 0x0a, data1 = 0x0b, flag = 0x0c, sdata = 0x0d,
  strp = 0x0e, udata = 0x0f, ref_addr = 0x10, ref1 = 0x11, ref2 = 0x12, ref4 = 0x13, ref8 = 0x14, ref_udata = 0x15, indirect = 0x16, sec_offset = 0x17, exprloc = 0x18,
  flag_present = 0x19, strx = 0x1a, addrx = 0x1b, ref_sup4 = 0x1c, strp_sup = 0x1d, data16 = 0x1e, line_strp = 0x1f, ref_sig8 = 0x20, implicit_const = 0x21, loclistx = 0x22,
  rnglistx = 0x23, ref_sup8 = 0x24, strx1 = 0x25, strx2 = 0x26, strx3 = 0x27, strx4 = 0x28, addrx1 = 0x29, addrx2 = 0x2a, addrx3 = 0x2b, addrx4 = 0x2c,
  gnu_addr_index = 0x1f01, gnu_str_index = 0x1f02, gnu_ref_alt = 0x1f20, gnu_strp_alt = 0x1f21,
}

function skipped(r: DwarfReader, size: number): FormValue {
  r.skip(size);
  return OTHER;
}

/** Reads one value. @param implicit the value of DW_FORM_implicit_const, which is with the abbreviation. */
export function readForm(r: DwarfReader, form: number, c: FormContext, implicit = 0): FormValue {
  const offset = () => (c.wide ? r.u64() : r.u32());
  switch (form) {
    case F.addr: return { kind: 'address', value: r.unsigned(c.addressSize) };
    case F.data1: case F.flag: return { kind: 'number', value: r.u8() };
    case F.data2: return { kind: 'number', value: r.u16() };
    case F.data4: return { kind: 'number', value: r.u32() }; // up to version 3 also an offset: the attribute says which
    case F.data8: return { kind: 'number', value: r.u64() };
    case F.sdata: return { kind: 'number', value: r.sleb() };
    case F.udata: return { kind: 'number', value: r.uleb() };
    case F.flag_present: return { kind: 'number', value: 1 };
    case F.implicit_const: return { kind: 'number', value: implicit };
    case F.string: return { kind: 'string', value: r.string() };
    case F.strp: return { kind: 'stringOffset', value: offset() };
    case F.line_strp: return { kind: 'lineStringOffset', value: offset() };
    case F.strx: case F.gnu_str_index: return { kind: 'stringIndex', value: r.uleb() };
    case F.strx1: return { kind: 'stringIndex', value: r.u8() };
    case F.strx2: return { kind: 'stringIndex', value: r.u16() };
    case F.strx3: return { kind: 'stringIndex', value: r.u24() };
    case F.strx4: return { kind: 'stringIndex', value: r.u32() };
    case F.addrx: case F.gnu_addr_index: return { kind: 'addressIndex', value: r.uleb() };
    case F.addrx1: return { kind: 'addressIndex', value: r.u8() };
    case F.addrx2: return { kind: 'addressIndex', value: r.u16() };
    case F.addrx3: return { kind: 'addressIndex', value: r.u24() };
    case F.addrx4: return { kind: 'addressIndex', value: r.u32() };
    case F.ref1: return { kind: 'unitRef', value: r.u8() };
    case F.ref2: return { kind: 'unitRef', value: r.u16() };
    case F.ref4: return { kind: 'unitRef', value: r.u32() };
    case F.ref8: return { kind: 'unitRef', value: r.u64() };
    case F.ref_udata: return { kind: 'unitRef', value: r.uleb() };
    case F.ref_addr: return { kind: 'infoRef', value: c.version === 2 ? r.unsigned(c.addressSize) : offset() };
    case F.sec_offset: return { kind: 'offset', value: offset() };
    case F.rnglistx: return { kind: 'rangesIndex', value: r.uleb() };
    case F.loclistx: r.uleb(); return OTHER;
    case F.strp_sup: case F.gnu_strp_alt: case F.gnu_ref_alt: offset(); return OTHER;
    case F.ref_sup4: return skipped(r, 4);
    case F.ref_sup8: case F.ref_sig8: return skipped(r, 8);
    case F.data16: return skipped(r, 16);
    case F.block: case F.exprloc: return skipped(r, r.uleb());
    case F.block1: return skipped(r, r.u8());
    case F.block2: return skipped(r, r.u16());
    case F.block4: return skipped(r, r.u32());
    case F.indirect: {
      const actual = r.uleb();
      return actual === F.indirect || actual === F.implicit_const ? r.fail('an indirect form of an indirect form') : readForm(r, actual, c);
    }
    default: return r.fail(`unknown attribute form 0x${form.toString(16)}`);
  }
}

/** The text of a string, wherever it is; undefined for what is no string, or one that only its unit can find. */
export function textOf(sections: DwarfSections, value: FormValue | undefined): string | undefined {
  switch (value?.kind) {
    case 'string': return value.value;
    case 'stringOffset': return stringAt(sections, '.debug_str', value.value);
    case 'lineStringOffset': return stringAt(sections, '.debug_line_str', value.value);
    default: return undefined;
  }
}
