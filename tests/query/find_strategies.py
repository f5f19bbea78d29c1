"""Documents, selectors, indexes and sorts over a few fields and values, so that they often meet."""

from __future__ import annotations

from hypothesis import strategies as st

PATHS = ("a", "b", "c.d", "_id")
atoms = st.sampled_from(
    [None, False, True, 0, -1, 1, 1.0, 2, 2**60, 10.5, "", "a", "A", "ab", "a\u200b", "é", "e\u0301", "z"]
)
values = st.one_of(atoms, st.lists(atoms, max_size=2), st.dictionaries(st.sampled_from("xy"), atoms, max_size=2))
ids = st.sampled_from([f"{letter}{number}" for letter in "aAbé" for number in range(6)])
documents = st.fixed_dictionaries(
    {}, optional={"a": values, "b": values, "c": st.one_of(values, st.fixed_dictionaries({"d": values}))}
)
comparisons = st.sampled_from(["$lt", "$lte", "$eq", "$ne", "$gte", "$gt"])
conditions = st.one_of(
    values,
    st.builds(lambda name, value: {name: value}, comparisons, values),
    st.builds(lambda low, high: {"$gte": low, "$lt": high}, atoms, atoms),
    st.builds(lambda name, many: {name: many}, st.sampled_from(["$in", "$nin", "$all"]), st.lists(values, max_size=3)),
    st.builds(lambda there: {"$exists": there}, st.booleans()),
    st.builds(lambda text: {"$beginsWith": text}, st.sampled_from(["", "a", "A", "é", "ab"])),
    st.builds(lambda name: {"$type": name}, st.sampled_from(["null", "number", "string", "array", "object", "x"])),
    st.builds(lambda value: {"$elemMatch": {"$eq": value}}, atoms),
    st.builds(lambda value: {"$not": {"$eq": value}}, atoms),
    st.just({"$size": 1}),
    st.just({"$mod": [2, 1]}),
    st.just({"$regex": "^a"}),
)
fields = st.builds(lambda path, condition: {path: condition}, st.sampled_from(PATHS), conditions)
combinations = st.sampled_from(["$and", "$or", "$nor"])
selectors = st.one_of(
    st.just({}),
    st.recursive(
        fields,
        lambda part: st.one_of(
            st.builds(
                lambda name, parts: {name: parts}, st.sampled_from(["$and", "$or", "$nor"]), st.lists(part, max_size=3)
            ),
            st.dictionaries(st.sampled_from(PATHS), conditions, min_size=1, max_size=3),
        ),
        max_leaves=5,
    ),
)
columns = st.lists(st.sampled_from(PATHS), min_size=1, max_size=3, unique=True)
sorts = st.lists(
    st.tuples(st.sampled_from(PATHS), st.sampled_from(["asc", "desc"])), max_size=2, unique_by=lambda one: one[0]
)
