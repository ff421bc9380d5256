-- A figure or table in Word and in JATS, once Quarto has numbered it: its own forms are a table of
-- one cell around each (which leaves a table in it no room) and a `fig` around a table.

local core = dofile(quarto and quarto.utils.resolve_path("core.lua")
  or pandoc.path.directory(PANDOC_SCRIPT_FILE) .. "/core.lua")
if not quarto or core.html or FORMAT == "typst" then return {} end

local word, jats, aside = core.load("word"), core.load("jats"), core.load("aside")
local docx, xml = FORMAT == "docx", FORMAT:match("jats") ~= nil
local KINDS = { fig = "Figure", tbl = "Table" }

local function blocks_of(content)
  return pandoc.utils.type(content) == "Blocks" and content or pandoc.Blocks({ content })
end

-- A picture of a drawing in XML, with the words that stand for it.
local function pictured(blocks)
  return blocks:walk({
    Image = function(image) return jats.picture(image.src, pandoc.utils.stringify(image.caption)) end,
    Figure = function(figure) return figure.content end,
  })
end

-- With the rows of tables, and without the blocks that Quarto puts around a cell and its output; those
-- with a style of Word's stay.
local function bare(blocks)
  return blocks:walk({
    Table = aside.rows,
    Div = function(div) return not div.attributes["custom-style"] and div.content or nil end,
  })
end

local function float(node)
  local kind = node.identifier:match("^(%a+)%-")
  local number = node.order and node.order.order
  if not (KINDS[kind] and number and core.article) then return nil end
  local body, caption = bare(blocks_of(node.content)), pandoc.Inlines({})
  if node.caption_long then
    caption = node.caption_long.content or pandoc.utils.blocks_to_inlines(blocks_of(node.caption_long))
  end
  if xml then
    return pandoc.Div(jats.exhibit(node.identifier, kind, KINDS[kind] .. " " .. number, caption, pictured(body)))
  end
  local words = pandoc.Inlines({ word.label(KINDS[kind], tostring(number)), pandoc.Space() })
  words:extend(caption)
  return pandoc.Div(word.exhibit(node.identifier, kind, words, body))
end

return (docx or xml) and { { FloatRefTarget = float } } or {}
