-- What is read as one is not parted at a line's end: *p* and its sign and number, an interval's two
-- ends, a number and its unit, an appendix and its letter. In running text and captions: a table's
-- columns have the width that their cells need.

local NBSP = "\u{a0}"
local UNITS = {}
for unit in ([[points percent percentage interval intervals standard respondents rows seconds
    years surveys experiments specifications]]):gmatch("%a+") do UNITS[unit] = true end
local SIGNS = { ["="] = true, ["<"] = true, [">"] = true, ["≤"] = true, ["≥"] = true }

local function bound(before, after)
  local bare = before:gsub("^[%(%[“]+", "")
  local digits = bare:gsub("−", "-"):match("^-?[%d.,]*%d%%?$")
  if SIGNS[after] or SIGNS[after:match("^[^%d.-]+") or ""] then return bare:match("^%a$") ~= nil end
  if SIGNS[bare] then return after:match("%d") ~= nil end
  if digits and UNITS[after:match("^%a+") or ""] then return true end
  if before:match("^%(?%[.*%d,$") then return after:match("%d%]") ~= nil end
  return bare == "Appendix" and after:match("^%u%f[%W]") ~= nil
end

-- Whether a paragraph may hold such a pair: most do not, and their words need not be looked at singly.
local function promising(text)
  for _, sign in ipairs({ "[=<>]", "≤", "≥", "Appendix %u", "%[.-%d, " }) do
    if text:find(sign) then return true end
  end
  for word in text:gmatch("[%d%%] (%a+)") do
    if UNITS[word] then return true end
  end
  return false
end

-- The words of a paragraph in their order, a blank as "": seen once, then the blanks replaced.
local function paragraph(block)
  if #block.content == 1 and block.content[1].t == "Image" then return nil, false end -- its alt text is spoken
  if not promising(pandoc.utils.stringify(block)) then return nil end
  local words, blanks, at = {}, false, 0
  local function word(text) words[#words + 1] = text end
  block:walk({
    Str = function(str) word(str.text) end,
    Space = function() word("") end, SoftBreak = function() word("") end,
    Math = function() word("$") end, Code = function() word("`") end, RawInline = function() word("`") end,
  })
  for i = 2, #words - 1 do
    if words[i] == "" and bound(words[i - 1], words[i + 1]) then words[i], blanks = NBSP, true end
  end
  if not blanks then return nil, false end
  local function pass() at = at + 1 end
  local function blank()
    at = at + 1
    return words[at] == NBSP and pandoc.Str(NBSP) or nil
  end
  return block:walk({ Str = pass, Space = blank, SoftBreak = blank, Math = pass, Code = pass, RawInline = pass }), false
end

local bound_words = {
  traverse = "topdown", Para = paragraph, Plain = paragraph, Table = function(tab) return tab, false end,
}
local bind = {}

function bind.blocks(blocks) return blocks:walk(bound_words) end

function bind.document(doc)
  doc.blocks = bind.blocks(doc.blocks)
  local abstract = doc.meta.abstract
  if pandoc.utils.type(abstract) == "Inlines" then
    doc.meta.abstract = bind.blocks(pandoc.Blocks({ pandoc.Plain(abstract) }))[1].content
  elseif abstract then
    doc.meta.abstract = bind.blocks(pandoc.Blocks(abstract))
  end
  return doc
end

return bind
