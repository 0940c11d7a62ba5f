"""What a SPIR-V module says of itself: capabilities, push constants, bindings, specialization
constants, workgroup memory. Reads the words alone (SPIR-V specification 1.5, sections 2.3 and 3)."""
CAPABILITY_NAMES = {
    0: "Matrix", 1: "Shader", 9: "Float16", 10: "Float64", 11: "Int64", 12: "Int64Atomics", 22: "Int16",
    39: "Int8", 61: "GroupNonUniform", 62: "GroupNonUniformVote", 63: "GroupNonUniformArithmetic",
    64: "GroupNonUniformBallot", 65: "GroupNonUniformShuffle", 66: "GroupNonUniformShuffleRelative",
    67: "GroupNonUniformClustered", 68: "GroupNonUniformQuad", 4433: "StorageBuffer16BitAccess",
    4434: "UniformAndStorageBuffer16BitAccess", 4448: "StorageBuffer8BitAccess",
    4449: "UniformAndStorageBuffer8BitAccess", 5345: "VulkanMemoryModel", 6016: "DotProductInputAll",
    6017: "DotProductInput4x8Bit", 6018: "DotProductInput4x8BitPacked", 6019: "DotProduct",
    6022: "CooperativeMatrixKHR",
}
(OP_EXECUTION_MODE, OP_CAPABILITY, OP_TYPE_BOOL, OP_TYPE_INT, OP_TYPE_FLOAT, OP_TYPE_VECTOR, OP_TYPE_MATRIX,
 OP_TYPE_ARRAY, OP_TYPE_RUNTIME_ARRAY, OP_TYPE_STRUCT, OP_TYPE_POINTER, OP_CONSTANT, OP_SPEC_CONSTANT,
 OP_SPEC_CONSTANT_OP, OP_VARIABLE, OP_DECORATE, OP_MEMBER_DECORATE) = (
     16, 17, 20, 21, 22, 23, 24, 28, 29, 30, 32, 43, 50, 52, 59, 71, 72)
MODE_LOCAL_SIZE = 17
SPEC_ID, BINDING, DESCRIPTOR_SET, OFFSET = 1, 33, 34, 35
WORKGROUP, PUSH_CONSTANT, STORAGE_BUFFER = 4, 9, 12
ARITHMETIC = {128: lambda a, b: a + b, 130: lambda a, b: a - b, 132: lambda a, b: a * b,
              134: lambda a, b: a // b if b else 0, 194: lambda a, b: a >> b, 196: lambda a, b: a << b,
              199: lambda a, b: a & b}


class Reflection:
    """ValueError when the words hold what no shader of ours has."""

    def __init__(self, words):
        if len(words) < 5 or words[0] != 0x07230203:
            raise ValueError("the module does not begin with SPIR-V's magic number")
        self.capabilities, self.spec_ids = [], set()
        self.local_size = [1, 1, 1]
        self.types, self.constants, self.decorations, self.offsets = {}, {}, {}, {}
        variables = []
        at = 5
        while at < len(words):
            count, op = words[at] >> 16, words[at] & 0xFFFF
            if count == 0 or at + count > len(words):
                raise ValueError(f"the instruction at word {at} ends beyond the module")
            self.read(op, words[at + 1:at + count], variables)
            at += count
        self.spec_mask = self.mask(self.spec_ids, "constant_id")
        self.push_bytes = 0
        self.shared_bytes = 0
        bindings = set()
        for pointer, variable, storage in variables:
            pointee = self.types[pointer][2]
            if storage == PUSH_CONSTANT:
                self.push_bytes = self.size(pointee)
                self.check_dense(pointee)
            elif storage == WORKGROUP:
                self.shared_bytes += self.size(pointee)
            elif storage == STORAGE_BUFFER:
                noted = self.decorations.get(variable, {})
                if noted.get(DESCRIPTOR_SET, 0) != 0:
                    raise ValueError(f"a buffer is in set {noted[DESCRIPTOR_SET]}; only set 0 is used")
                bindings.add(noted.get(BINDING, 0))
        self.binding_mask = self.mask(bindings, "binding")

    @staticmethod
    def mask(numbers, what):
        if any(n > 31 for n in numbers):
            raise ValueError(f"a {what} is {max(numbers)}; 31 is the largest that a variant may have")
        return sum(1 << n for n in numbers)

    def read(self, op, operands, variables):
        if op == OP_CAPABILITY:
            self.capabilities.append(CAPABILITY_NAMES.get(operands[0], f"capability {operands[0]}"))
        elif op == OP_EXECUTION_MODE and operands[1] == MODE_LOCAL_SIZE:
            self.local_size = operands[2:5]
        elif op == OP_DECORATE:
            value = operands[2] if len(operands) > 2 else None
            self.decorations.setdefault(operands[0], {})[operands[1]] = value
            if operands[1] == SPEC_ID:
                self.spec_ids.add(value)
        elif op == OP_MEMBER_DECORATE and operands[2] == OFFSET:
            self.offsets.setdefault(operands[0], {})[operands[1]] = operands[3]
        elif OP_TYPE_BOOL <= op <= OP_TYPE_POINTER:
            self.types[operands[0]] = (op, *operands[1:])
        elif op in (OP_CONSTANT, OP_SPEC_CONSTANT):
            self.constants[operands[1]] = operands[2]
        elif op == OP_SPEC_CONSTANT_OP and operands[2] in ARITHMETIC:
            left, right = (self.constants.get(operand) for operand in operands[3:5])
            if left is not None and right is not None:
                self.constants[operands[1]] = ARITHMETIC[operands[2]](left, right) & 0xFFFFFFFF
        elif op == OP_VARIABLE:
            variables.append((operands[0], operands[1], operands[2]))

    def check_dense(self, identity):
        """Push constants lie as the struct of params.h lies in C++: words without gaps, in the order written."""
        places = list(self.words(identity, 0))
        if places != list(range(0, 4 * len(places), 4)):
            raise ValueError(f"the push constants lie at bytes {places}; C++ has them one word behind the other")

    def words(self, identity, base):
        """Where in a block each 32-bit scalar of a type lies that begins at byte `base`."""
        op, *operands = self.types[identity]
        if op in (OP_TYPE_INT, OP_TYPE_FLOAT) and operands[0] == 32:
            yield base
        elif op == OP_TYPE_STRUCT:
            for index, member in enumerate(operands):
                yield from self.words(member, base + self.offsets[identity][index])
        else:
            raise ValueError("push constants are structs of 32-bit numbers; params.h holds something else")

    def size(self, identity):
        """Bytes of a type: by its offsets where it has them, packed else."""
        op, *operands = self.types[identity]
        if op == OP_TYPE_BOOL:
            return 4
        if op in (OP_TYPE_INT, OP_TYPE_FLOAT):
            return operands[0] // 8
        if op in (OP_TYPE_VECTOR, OP_TYPE_MATRIX):
            return self.size(operands[0]) * operands[1]
        if op == OP_TYPE_ARRAY:
            length = self.constants.get(operands[1])
            if length is None:
                raise ValueError("the length of a shared array is no simple product of constants")
            stride = self.decorations.get(identity, {}).get(6, self.size(operands[0]))
            return stride * length
        if op == OP_TYPE_STRUCT:
            offsets = self.offsets.get(identity, {})
            total = 0
            for index, member in enumerate(operands):
                if self.types[member][0] == OP_TYPE_RUNTIME_ARRAY:
                    continue
                total = offsets.get(index, total) + self.size(member)
            return total
        raise ValueError(f"a type of instruction {op} has no size")
