-- Returns the values of a flat list, { name, value, ... }, by their names.
local function fields_of(list)
  local fields = {}
  for at = 1, #list, 2 do
    fields[list[at]] = list[at + 1]
  end
  return fields
end
