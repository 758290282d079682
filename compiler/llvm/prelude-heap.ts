/**
 * The prelude's helpers for structs, arrays, i31 and casts.
 *
 * The collector finds references on the stack by what lies there, and objects do not move: a reference must be there, or a pointer into the object, for as long as the object may be reached.
 * LLVM could keep a pointer that is outside of the object instead (a loop's first element less some constant), if it knew how one is derived from the other. So every access hides the reference in an
 * asm with effects, of which there is one for each access, in place: between accesses only the reference itself is live.
 *
 * Stores are volatile, for a later trap must find them done. A reference is 8 bytes: 0 is null, bit 0 set an i31, anything else the address of an object (abi.ts, `object`).
 */
import { OFFSETS, StatusCode, TypeKind } from '../../runtime-c/abi.js';
import { define, trapIf, VECTOR } from './prelude.js';

const HIDE = '%hidden = call i64 asm sideeffect "", "=r,0"(i64 %ref) #1\n%object = inttoptr i64 %hidden to ptr';
const at = (base: string, offset: string | number, to: string) => `${to} = getelementptr i8, ptr ${base}, i64 ${offset}`;

/** What fields hold: the helpers' suffix, the type in memory, the type of the value, how it is extended. */
interface Access { readonly name: string; readonly memory: string; readonly value: string; readonly width: number; readonly extend?: 'sext' | 'zext' }
const PACKED: readonly Access[] = [8, 16].flatMap((bits) => (['sext', 'zext'] as const).map((extend) => ({
  name: `i${bits}_${extend[0] === 's' ? 's' : 'u'}`, memory: `i${bits}`, value: 'i32', width: bits / 8, extend,
})));
const PLAIN: readonly Access[] = [
  { name: 'i32', memory: 'i32', value: 'i32', width: 4 }, { name: 'i64', memory: 'i64', value: 'i64', width: 8 }, { name: 'f32', memory: 'float', value: 'float', width: 4 },
  { name: 'f64', memory: 'double', value: 'double', width: 8 }, { name: 'v128', memory: VECTOR, value: VECTOR, width: 16 },
];

const load = ({ memory, value, width, extend }: Access) => `
  %m = load ${memory}, ptr %p, align ${width}
  ${extend ? `%v = ${extend} ${memory} %m to ${value}\nret ${value} %v` : `ret ${value} %m`}`;
const store = ({ memory, value, width }: Access) => `
  ${memory === value ? '' : `%m = trunc ${value} %v to ${memory}`}
  store volatile ${memory} ${memory === value ? '%v' : '%m'}, ptr %p, align ${width}
  ret void`;

/** The address of an element, or a trap. */
const element = (width: number) => `
  ${HIDE}
  ${at('%object', OFFSETS.object.length, '%lp')}
  %length = load i32, ptr %lp, align 8
  %out = icmp uge i32 %index, %length
  ${trapIf('%out', StatusCode.out_of_bounds_array_access, 'bounds')}
  %i = zext i32 %index to i64
  %bytes = mul nuw nsw i64 %i, ${width}
  ${at('%object', 16, '%elements')}
  ${at('%elements', '%bytes', '%p')}`;

function accessHelpers(): string {
  const packedStores = PACKED.filter(({ extend }) => extend === 'zext').map((access) => ({ ...access, name: access.memory }));
  return [
    ...[...PACKED, ...PLAIN].flatMap((access) => [
      define(`${access.value} @waot.field_get.${access.name}(i64 %ref, i64 %offset)`, `${HIDE}\n${at('%object', '%offset', '%p')}\n${load(access)}`),
      define(`${access.value} @waot.element_get.${access.name}(i64 %ref, i32 %index)`, `${element(access.width)}\n${load(access)}`),
    ]),
    ...[...packedStores, ...PLAIN].flatMap((access) => [
      define(`void @waot.field_set.${access.name}(i64 %ref, i64 %offset, ${access.value} %v)`, `${HIDE}\n${at('%object', '%offset', '%p')}\n${store(access)}`),
      define(`void @waot.element_set.${access.name}(i64 %ref, i32 %index, ${access.value} %v)`, `${element(access.width)}\n${store(access)}`),
    ]),
    define('i32 @waot.array_len(i64 %ref)', `${HIDE}\n${at('%object', OFFSETS.object.length, '%p')}\n%length = load i32, ptr %p, align 8\nret i32 %length`),
  ].join('\n');
}

/** Allocation: the builtins' 0 is a trap. */
function allocationHelpers(): string {
  const checked = (value: string) => `%none = icmp eq i64 ${value}, 0\n${trapIf('%none', StatusCode.heap_exhausted, 'heap')}`;
  const conversion = (name: string) => define(`i64 @waot.${name}(ptr %vmctx, i64 %ref)`, `
    %null = icmp eq i64 %ref, 0
    br i1 %null, label %done, label %call
    call:
    %r = call i64 @waot.builtin.${name.replace('.', '_')}(ptr %vmctx, i64 %ref)
    ${checked('%r')}
    br label %done
    done:
    %v = phi i64 [ 0, %0 ], [ %r, %heap.ok ]
    ret i64 %v`);
  return [
    define('i64 @waot.struct_new(ptr %vmctx, i32 %type)', `%ref = call i64 @waot.builtin.struct_new(ptr %vmctx, i32 %type)\n${checked('%ref')}\nret i64 %ref`),
    define('i64 @waot.array_new(ptr %vmctx, i32 %type, i64 %length)', `%ref = call i64 @waot.builtin.array_new(ptr %vmctx, i32 %type, i64 %length)\n${checked('%ref')}\nret i64 %ref`),
    // A new array holds zeros already.
    define('void @waot.array_fill_new(ptr %vmctx, i64 %ref, i64 %length, i64 %low, i64 %high)', `
      %any = or i64 %low, %high
      %zero = icmp eq i64 %any, 0
      br i1 %zero, label %done, label %fill
      fill:
      %failed = call i32 @waot.builtin.array_fill(ptr %vmctx, i64 %ref, i64 0, i64 %length, i64 %low, i64 %high)
      br label %done
      done:
      ret void`),
    conversion('any.convert_extern'), conversion('extern.convert_any'),
    ...[['low', 0], ['high', 1]].map(([half, lane]) => define(`i64 @waot.v128_${half}(${VECTOR} %v)`, `%r = extractelement ${VECTOR} %v, i32 ${lane}\nret i64 %r`)),
  ].join('\n');
}

/** Tests of references that may be null or an i31; types never change, so what is read of them is invariant. */
function testHelpers(): string {
  const objectType = `
    %isnull = icmp eq i64 %ref, 0
    %bit = and i64 %ref, 1
    %isi31 = icmp ne i64 %bit, 0
    %no = or i1 %isnull, %isi31
    br i1 %no, label %none, label %some
    some:
    ${HIDE}
    %type = load ptr, ptr %object, align 8`;
  const kind = `${at('%type', OFFSETS.type_head.kind, '%kp')}\n%kind = load i32, ptr %kp, align 4, !invariant.load !1`;
  return [
    define('ptr @waot.object_type_of(i64 %ref)', `${objectType}\nret ptr %type\nnone:\nret ptr null`),
    define('i1 @waot.is_kind(i64 %ref, i32 %wanted)', `${objectType}\n${kind}\n%same = icmp eq i32 %kind, %wanted\nret i1 %same\nnone:\nret i1 false`),
    // All but null and the host's values.
    define('i1 @waot.is_eq(i64 %ref)', `${objectType}\n${kind}\n%own = icmp ne i32 %kind, ${TypeKind.box}\nret i1 %own\nnone:\nret i1 %isi31`),
    define('i1 @waot.is_i31(i64 %ref)', '%bit = and i64 %ref, 1\n%r = icmp ne i64 %bit, 0\nret i1 %r'),
    define('i64 @waot.i31_new(i32 %v)', '%shifted = shl i32 %v, 1\n%tagged = or i32 %shifted, 1\n%r = zext i32 %tagged to i64\nret i64 %r'),
    define('i32 @waot.i31_get_s(i64 %ref)', '%low = trunc i64 %ref to i32\n%r = ashr i32 %low, 1\nret i32 %r'),
    define('i32 @waot.i31_get_u(i64 %ref)', '%low = trunc i64 %ref to i32\n%r = lshr i32 %low, 1\nret i32 %r'),
  ].join('\n');
}

let text: string | undefined;
let own: ReadonlySet<string> | undefined;

/** The helpers, to append to the prelude, if any of `names` (`waot.field_get.i32`) is one of them; else nothing. */
export function heapPrelude(names: Iterable<string>): string {
  text ??= [accessHelpers(), allocationHelpers(), testHelpers()].join('\n');
  own ??= new Set([...text.matchAll(/@(waot\.[\w.]+)\([^)]*\) #0/g)].map((match) => match[1]));
  for (const name of names) if (own.has(name)) return text;
  return '';
}
