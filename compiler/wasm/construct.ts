/** The operators that make structs, arrays and i31 (spec 3.0, 3.4): their types, which function bodies and constant expressions share. */
import { Limit } from './limits.js';
import type { ArrayType, DefinedType, FuncType, StructType, ValType } from './module.js';
import type { Operator } from './module.js';
import { isDefaultable, refType, unpacked } from './types.js';

/** Why an operator is not valid. */
export class TypeFault {
  readonly message: string;
  /** The module is too large for us, not wrong. */
  readonly isLimit: boolean;
  constructor(message: string, isLimit = false) {
    this.message = message;
    this.isLimit = isLimit;
  }
}

/** The struct type with this index. */
export function structAt(types: readonly DefinedType[], index: number): StructType | TypeFault {
  const type = types[index];
  if (type === undefined) return new TypeFault(`unknown type ${index}`);
  return type.kind === 'struct' ? type : new TypeFault(`type mismatch: type ${index} is not one of structs`);
}

/** The array type with this index. */
export function arrayAt(types: readonly DefinedType[], index: number): ArrayType | TypeFault {
  const type = types[index];
  if (type === undefined) return new TypeFault(`unknown type ${index}`);
  return type.kind === 'array' ? type : new TypeFault(`type mismatch: type ${index} is not one of arrays`);
}

const repeat = (type: ValType, count: number): ValType[] => new Array<ValType>(count).fill(type);

/** What struct.new and struct.new_default take of a struct, made once: a struct can have many fields, and code make one over and over. */
interface StructFacts { readonly values: readonly ValType[]; readonly withoutDefault: number }
const FACTS = new WeakMap<StructType, StructFacts>();

function factsOf(struct: StructType): StructFacts {
  let facts = FACTS.get(struct);
  if (facts === undefined) {
    facts = { values: struct.fields.map((field) => unpacked(field.type)), withoutDefault: struct.fields.findIndex((field) => !isDefaultable(field.type)) };
    FACTS.set(struct, facts);
  }
  return facts;
}

function structSignature(types: readonly DefinedType[], { op, a }: Pick<Operator, 'op' | 'a'>): FuncType | TypeFault {
  const struct = structAt(types, a);
  if (struct instanceof TypeFault) return struct;
  const { values, withoutDefault } = factsOf(struct);
  if (op.name === 'struct.new') return { params: values, results: [refType(false, a)] };
  return withoutDefault < 0 ? { params: [], results: [refType(false, a)] } : new TypeFault(`field type is not defaultable: field ${withoutDefault} of type ${a}`);
}

function arraySignature(types: readonly DefinedType[], { op, a, b }: Pick<Operator, 'op' | 'a' | 'b'>): FuncType | TypeFault {
  const array = arrayAt(types, a);
  if (array instanceof TypeFault) return array;
  const element = unpacked(array.element.type);
  const results: FuncType['results'] = [refType(false, a)];
  if (op.name === 'array.new') return { params: [element, 'i32'], results };
  if (op.name === 'array.new_default') return isDefaultable(element) ? { params: ['i32'], results } : new TypeFault(`array type is not defaultable: type ${a}`);
  if (b > Limit.fields) return new TypeFault(`too many operands of array.new_fixed: ${b} (the implementation limit is ${Limit.fields})`, true);
  return { params: repeat(element, b), results };
}

/** Parameters and results of struct.new, struct.new_default, array.new, array.new_default, array.new_fixed and ref.i31. */
export function constructorSignature(types: readonly DefinedType[], operator: Pick<Operator, 'op' | 'a' | 'b'>): FuncType | TypeFault {
  if (operator.op.name === 'ref.i31') return { params: ['i32'], results: ['(ref i31)'] };
  return operator.op.name.startsWith('struct') ? structSignature(types, operator) : arraySignature(types, operator);
}
