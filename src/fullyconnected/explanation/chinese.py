"""The Chinese of worked examples, in the terms of Chinese textbooks: by the English template, with the same values."""

__all__ = ["CHINESE"]

_WORDS = {
    # the beginning
    "One training step of {network}, worked out for 1 row": "{network}的一步训练，用 1 行数据逐步算出",
    "One training step of {network}, worked out for {n} rows": "{network}的一步训练，用 {n} 行数据逐步算出",
    "a {sizes} network": " {sizes} 全连接网络",
    "a network of {sizes} inputs": "一个有 {sizes} 个输入的网络",
    "a {sizes} network of {k} members": "由 {k} 个成员组成的 {sizes} 全连接网络",
    "Row {i}: the network says {says}, and {wanted} is wanted; the loss of this row is {loss}.": (
        "第 {i} 行：网络的输出是 {says}，目标是 {wanted}；这一行的损失是 {loss}。"
    ),
    "Row {i}: the network says {says}, and class {wanted} is right; the loss of this row is {loss}.": (
        "第 {i} 行：网络的输出是 {says}，正确的类别是 {wanted}；这一行的损失是 {loss}。"
    ),
    "There are {n} more rows.": "另外还有 {n} 行。",
    "The loss is L = {loss}.": "损失是 L = {loss}。",
    "The loss was L = {loss}; after the update it is smaller, L_new = {after}.": (
        "损失原来是 L = {loss}；更新之后变小了，L_new = {after}。"
    ),
    "The loss was L = {loss}; after the update it is not smaller, L_new = {after}.": (
        "损失原来是 L = {loss}；更新之后没有变小，L_new = {after}。"
    ),
    # the verdict
    "all {all} gradients (of {parameters} parameters and {inputs} inputs) agree with central differences": (
        "全部 {all} 个梯度（{parameters} 个参数和 {inputs} 个输入）都与中心差分一致"
    ),
    "{n} of {all} gradients (of {parameters} parameters and {inputs} inputs) were compared with central differences, "
    "and agree": "{all} 个梯度（{parameters} 个参数和 {inputs} 个输入）中有 {n} 个与中心差分作了比较，结果一致",
    "{some}; {n} are too small to be compared": "{some}；有 {n} 个太小，无法比较",
    "{some}; 1 is too small to be compared": "{some}；有 1 个太小，无法比较",
    "the gradients were not compared with central differences": "没有把梯度与中心差分作比较",
    "the gradients are too small to be compared with central differences: neither right nor wrong": (
        "梯度太小，无法与中心差分比较：既不能说对，也不能说错"
    ),
    "WRONG: the gradients of {names} disagree with central differences": "错误：{names} 的梯度与中心差分不一致",
    "NOT FINITE: step {n}, {name} of {layer}, is the first result to hold NaN or infinity": (
        "出现非有限值：第 {n} 步，{layer} 的 {name}，是第一个含有 NaN 或无穷大的结果"
    ),
    "NOT FINITE: step {n}, {name} of {layer}, is the first result to hold NaN or infinity; {held} held it from the "
    "start": "出现非有限值：第 {n} 步，{layer} 的 {name}，是第一个含有 NaN 或无穷大的结果；{held} 一开始就含有它",
    # how to read it
    "x is the input, with one row for each sample; t are the targets; L is the loss, which training reduces.": (
        "x 是输入，每行是一个样本；t 是目标；L 是损失，训练就是要让它变小。"
    ),
    "The number in a name is that of a Dense layer: W1 and b1 are the weights and biases of the first one, z1 is what "
    "it computes, and y1 what its activation makes of that, or what it gives if it has none. Other layers have a word "
    "with a number, as in y_norm1. dL/dW1 is the gradient of W1: how fast L grows with each entry of W1.": (
        "名称里的数字是全连接层的编号：W1 和 b1 是第一个全连接层的权重和偏置，z1 是它的加权和，y1 是经过激活函数之后的"
        "输出；没有激活函数时，y1 就是该层的输出。其他层用一个词加编号，例如 y_norm1。dL/dW1 是 W1 的梯度：W1 的每个元"
        "素"
        "增大时，L 增长得有多快。"
    ),
    "In y1[0,2], 0 is the row and 2 the unit, both counted from 0; in sums, i counts rows and j units. W1[0,2] leads "
    "from input 0 to unit 2.": (
        "在 y1[0,2] 中，0 是行号，2 是神经元的编号，都从 0 数起；求和时 i 表示行，j 表示神经元。W1[0,2] 从输入 0 连到"
        "神经元 "
        "2。"
    ),
    "With an L2 term, E is the loss without it, and L the loss with it.": (
        "有 L2 正则项时，E 是不含正则项的损失，L 是含正则项的损失。"
    ),
    "x is the input, with one column for each sample; t are the targets; L is the loss, which training reduces.": (
        "x 是输入，每列是一个样本；t 是目标；L 是损失，训练就是要让它变小。"
    ),
    "In y1[2,0], 2 is the unit and 0 the column of the sample, both counted from 0; in sums, i counts samples and j "
    "units. "
    "W1[2,0] leads from input 0 to unit 2.": (
        "在 y1[2,0] 中，2 是神经元的编号，0 是样本所在的列，都从 0 数起；求和时 i 表示样本，j 表示神经元。"
        "W1[2,0] 从输入 0 连到神经元 2。"
    ),
    "where samples are rows, W is transposed, and stands behind x": "样本按行排列时，W 是这里的转置，写在 x 的后面",
    "layout": "排列方式",
    "task": "任务",
    "XOR: the target is 1 where exactly one of the two inputs is 1": "异或：两个输入中恰有一个是 1 时，目标是 1",
    "one layer, with the numbers of the page Fully Connected Layers of tinyml": (
        "单个全连接层，数字取自 tinyml 的网页 Fully Connected Layers"
    ),
    "samples are columns: z = W x + b, with W (outputs, inputs)": "样本是列：z = W x + b，W 的形状是（输出，输入）",
    # in a textbook
    "where samples are columns, W is transposed, and stands before x": "样本按列排列时，W 是这里的转置，写在 x 的前面",
    "what a layer gives: its activations": "一层的输出，即激活值",
    "the error of a layer: how L changes with what it computes": "一层的误差项：L 随该层加权和的变化",
    "the parameters": "参数",
    "what is wanted: the target": "想要的结果，即目标",
    "what the network says: the prediction": "网络的输出，即预测",
    "the loss, or cost": "损失，也叫代价",
    "the learning rate": "学习率",
    # phases
    "Forward": "前向传播",
    "Loss": "损失",
    "Backward": "反向传播",
    "Check": "梯度检验",
    "Update": "参数更新",
    "After the update": "更新之后",
    "The input goes through the layers, one after the other, to what the network says.": (
        "输入依次通过每一层，得到网络的输出。"
    ),
    "The loss measures how far that is from what is wanted; with its slope, learning begins.": (
        "损失衡量输出离目标有多远；学习就从损失的导数开始。"
    ),
    "The gradients go from the loss back to the input, by the chain rule: each step multiplies what comes from behind "
    "by "
    "its own slope. A sum hands its gradient on unchanged, a product swaps its factors, a maximum routes it to the "
    "number "
    "that won, and where one number goes several ways, what comes back on them is added.": (
        "梯度按链式法则从损失一步步传回输入：每一步都把后面传来的梯度乘以自己的导数。加法把梯度原样分给每个加数，乘法"
        "交换两个"
        "因子，取最大值把梯度只传给胜出的那个数；一个数有几条去路时，几条路上传回的梯度相加。"
    ),
    "Each number is increased and decreased by a small step, and the loss is computed again: L_right and L_left. The "
    "slope between the two must agree with the gradient.": (
        "把每个数增大、减小一小步，重新计算损失，得到 L_right 和 L_left。两者之间的斜率必须与梯度一致。"
    ),
    "This is the first step of the optimizer; its state starts at 0.": "这是优化器的第一步；它的状态从 0 开始。",
    "This is step {n} of the optimizer; its state is what the steps before have left.": (
        "这是优化器的第 {n} 步；它的状态是前面各步留下的。"
    ),
    "The same rows go through the network once more, with the new parameters, to see whether the loss has become "
    "smaller.": "用新的参数把同样的行再送入网络一遍，看看损失是否变小了。",
    "The same rows, with the new parameters. The formula is that of step {n}.": (
        "同样的行，新的参数。公式与第 {n} 步相同。"
    ),
    "As in step {n}.": "与第 {n} 步相同。",
    "The formula of step {n}, with the new parameters.": "与第 {n} 步的公式相同，用新的参数。",
    # what is given
    "the input": "输入",
    "the targets": "目标",
    "the targets, once for each member": "目标，每个成员各一份",
    "the weights of the samples, divided by their sum": "样本的权重，已除以它们的和",
    "a 1 for each sample": "每个样本一个 1",
    "the step of the central differences": "中心差分的步长",
    "the step of the central differences for each entry of {of}": "{of} 每个元素的中心差分步长",
    "the number of the optimizer's step, counted from 1": "优化器的步数，从 1 数起",
    "the strength of the L2 term": "L2 正则项的强度",
    "the factor on the learning rate of {of}": "{of} 的学习率因子",
    "the factor on the weight decay of {of}": "{of} 的权重衰减因子",
    "the root of the outputs over the inputs of {of}, or 1 if that is larger": (
        "{of} 的输出数除以输入数的平方根，至少为 1"
    ),
    "the weights of {of}": "{of} 的权重",
    "the biases of {of}": "{of} 的偏置",
    "the gains of {of}": "{of} 的缩放参数",
    "the shifts of {of}": "{of} 的平移参数",
    "the mask of {of}: by what each number is multiplied": "{of} 的掩码：每个数要乘的数",
    "a small number of {of} that avoids a division by 0": "{of} 中避免除以 0 的小数",
    "how far the running statistics of {of} move": "{of} 的滑动统计量每次移动的比例",
    "the running mean of {of}": "{of} 的滑动均值",
    "the running variance of {of}": "{of} 的滑动方差",
    "the learning rate of {of}": "{of} 的学习率",
    "how much of m {of} keeps": "{of} 保留 m 的比例",
    "how much of v {of} keeps": "{of} 保留 v 的比例",
    "how much of the velocity {of} keeps": "{of} 保留速度的比例",
    "the weight decay of {of}": "{of} 的权重衰减",
    "the number of outputs, for the {of}": "输出的个数（{of}）",
    "the label smoothing of the {of}": "标签平滑（{of}）",
    "the optimizer's {letter} for each entry of {of}, before the step": (
        "这一步之前，优化器为 {of} 每个元素保存的 {letter}"
    ),
    "{letter} of {of}": "{of} 的 {letter}",
    "{name}": "{name}",
    "In your textbook": "与教科书对照",
    "Given": "已知",
    "shapes: {shapes}": "形状：{shapes}",
    "Shapes: {shapes}": "形状：{shapes}",
    "NOT FINITE: this result holds NaN or infinity.": "非有限值：这个结果含有 NaN 或无穷大。",
    "**Not finite:** this result holds NaN or infinity.": "**非有限值：** 这个结果含有 NaN 或无穷大。",
    "PATHS of {name} to the loss": "{name} 到损失的路径",
    "Paths of {name} to the loss": "{name} 到损失的路径",
    "x' is x transposed; two names side by side are a matrix product, and * multiplies entry by entry; 1 is a vector "
    "of "
    "ones, one for each sample. = means that the digits shown follow exactly from those of the operands, ~ that they "
    "are "
    "rounded.": (
        "x' 是 x 的转置；两个名称并排表示矩阵乘积，* 表示逐元素相乘；1 是全 1 的向量，每个样本一个。= 表示所示数字由各"
        "操作数的"
        "数字精确得出，~ 表示经过舍入。"
    ),
    r"$\odot$ multiplies entry by entry; $\mathbf{{1}}$ is a vector of ones, one for each sample. $=$ means that the "
    r"digits shown follow exactly from those of the operands, $\approx$ that they are rounded.": (
        r"$\odot$ 表示逐元素相乘；$\mathbf{{1}}$ 是全 1 的向量，每个样本一个。$=$ 表示所示数字由各操作数的数字精确得出"
        r"，"
        r"$\approx$ 表示经过舍入。"
    ),
    "{text}": "{text}",
    "The optimizer's memory, {letters} of every parameter, is 0 before the first step.": (
        "第一步之前，优化器的记忆（每个参数的 {letters}）都是 0。"
    ),
    "{shape}: {n} numbers": "{shape}：{n} 个数",
    "{of} from {least} to {most}, mean {mean}, standard deviation {deviation}": (
        "{of}，从 {least} 到 {most}，均值 {mean}，标准差 {deviation}"
    ),
    "{of}, all of them {value}": "{of}，全都是 {value}",
    "{of}; {n} are not finite": "{of}；其中 {n} 个不是有限值",
    "and 1 more entry, computed in the same way": "另有 1 个元素，算法相同",
    "and {n} more entries, computed in the same way": "另有 {n} 个元素，算法相同",
    # the check
    "dL/d{name} agrees within {error} of its largest entry, compared at a step of {step}.": (
        "dL/d{name} 与差分一致，误差在其最大元素的 {error} 以内（比较时步长为 {step}）。"
    ),
    "dL/d{name} DISAGREES: it is {gradient}, not {difference}.": (
        "dL/d{name} 不一致：它是 {gradient}，而差分是 {difference}。"
    ),
    "Unresolved: dL/d{name} and the differences are smaller than their rounding errors.": (
        "无法判定：dL/d{name} 和差分都小于舍入误差。"
    ),
    "{n} of {all} entries were compared.": "比较了 {all} 个元素中的 {n} 个。",
    "{n} of the entries lie on a kink, where there is no derivative to compare.": (
        "有 {n} 个元素正好在折点上，那里没有导数可比较。"
    ),
    # paths
    "{paths} from {name} to L. The slopes along a path are multiplied; the products of all paths add up to dL/d{name} "
    "= "
    "{gradient}.": (
        "从 {name} 到 L {paths}。沿一条路径把各步的导数相乘；所有路径的乘积加起来就是 dL/d{name} = {gradient}。"
    ),
    "One path leads": "有 1 条路径",
    "{n} paths lead": "有 {n} 条路径",
    "About {n} paths lead": "大约有 {n} 条路径",
    "No path leads from {name} to L: each has a slope of 0 somewhere.": (
        "没有从 {name} 通到 L 的路径：每一条上都有某处的导数是 0。"
    ),
    "These {n} paths have the largest products, which add up to {total}; those of all others add up to {others}.": (
        "这 {n} 条路径的乘积最大，加起来是 {total}；其余路径的乘积加起来是 {others}。"
    ),
    "These {n} paths have the largest products of those followed, which add up to {total}; those of all others add up "
    "to "
    "{others}.": "在追踪到的路径中，这 {n} 条的乘积最大，加起来是 {total}；其余路径的乘积加起来是 {others}。",
    "Sum: {added} {sign} {gradient}": "求和：{added} {sign} {gradient}",
    "1 more step of this phase does not concern {name}.": "本阶段另有 1 步与 {name} 无关。",
    "{n} more steps of this phase do not concern {name}.": "本阶段另有 {n} 步与 {name} 无关。",
    # settings
    "loss": "损失函数",
    "dtype": "数据类型",
    "rows": "行数",
    "mode": "模式",
    "members": "成员",
    "playground": "演示场",
    "after step": "在此步之后",
    "The update below is not the one that the playground makes: it first scales the gradient of this batch, whose "
    "length is {norm}, down to the length {longest}, the largest that its setup allows.": (
        "下面的更新与演示场所作的不同：演示场先把这一批的梯度从长度 {norm} 缩短到 {longest}，即其设置允许的最大长度。"
    ),
    "l2": "l2",
    "factors": "因子",
    "optimizer": "优化器",
    "step": "步长",
    "data": "数据",
    "inputs": "输入",
    "target": "目标",
    "training, seed {seed}": "训练，随机种子 {seed}",
    "training, seed {seed}, step {n}": "训练，随机种子 {seed}，第 {n} 步",
    "prediction: no dropout, and running statistics": "预测：不作随机丢弃，使用滑动统计量",
    "{k}; of {k} rows that follow each other, each is that of a member m, and W[m] is what member m has of its own": (
        "{k}；相邻的 {k} 行分别属于各个成员 m，W[m] 是成员 m 自己的权重"
    ),
    "{step} for the central differences, which are in float64; relative for numbers above 1": (
        "中心差分用 {step}，以 float64 计算；大于 1 的数按相对步长"
    ),
    # the page: its parts
    "Story": "概述",
    "Steps": "步骤",
    "In short": "简答",
    "Paths": "路径",
    "Gates": "门单元",
    "Computation": "计算图",
    "All steps": "全部步骤",
    "How to read it": "阅读说明",
    "Settings": "设置",
    "Contents": "目录",
    "The computation": "计算图",
    # the page: what happens
    "What happens in this step": "这一步做了什么",
    "The first step that is not finite": "第一个出现非有限值的步骤",
    "The network reads one row, says what it takes it for, and is told what was wanted. How wrong it is, is one "
    "number: the loss, {loss}.": "网络读入一行，给出输出，再得知目标是什么。错了多少，用一个数表示：损失 {loss}。",
    "The network reads {rows} rows, says what it takes each for, and is told what was wanted. How wrong it is, over "
    "all rows, is one number: the loss, {loss}.": (
        "网络读入 {rows} 行，对每一行给出输出，再得知目标是什么。所有行合起来错了多少，用一个数表示：损失 {loss}。"
    ),
    "Backward finds how fast the loss grows with each number. There is no optimizer here, so nothing is moved.": (
        "反向传播求出每个数增大时损失增长得有多快。这里没有优化器，所以什么都不更新。"
    ),
    "After one step of {rule}, the loss of the same rows is {after}.": (
        "用 {rule} 更新一步之后，同样这些行的损失是 {after}。"
    ),
    "That is {percent} % less.": "减小了 {percent}%。",
    "That is {percent} % more: the step was too long.": "增大了 {percent}%：这一步走得太远了。",
    "row": "行",
    "input": "输入",
    "the network says": "网络的输出",
    "wanted": "目标",
    "loss of the row": "该行的损失",
    "row {r}": "第 {r} 行",
    "See how, in {n} steps": "逐步查看：共 {n} 步",
    "share of the weights": "占权重之和的比例",
    "The picture shows row {row}. No other can be chosen: in an ensemble, each row has outputs of all members, and the "
    "picture has their places for one row.": (
        "图中是第 {row} 行，不能另选：集成中每一行都有全部成员的输出，图里只有一行的位置。"
    ),
    "The picture shows row {row}. No other can be chosen: dropout leaves out other units in each row, and the picture "
    "has those of one row.": ("图中是第 {row} 行，不能另选：随机丢弃在每一行丢弃的神经元不同，图里画的是其中一行的。"),
    "{n} of the {rows} rows are listed.": "列出了 {rows} 行中的 {n} 行。",
    # the page: the picture, the panel and the buttons
    "Step by step": "逐步演示",
    "Numbers": "数字",
    "by step": "随步骤",
    "values": "数值",
    "gradients": "梯度",
    "both": "两者",
    "Speed": "速度",
    "Find a number": "查找数字",
    "There is no such number.": "没有这个数。",
    "Marked, places:": "已标出，处数：",
    "read": "读取",
    "computed": "算出",
    "Point at a number to read all of its digits.": "指向一个数，可看到它的全部数位。",
    "Numbers at units are those of row {row}; gradients of weights and biases are over all {rows} rows.": (
        "神经元处的数字是第 {row} 行的；权重和偏置的梯度是对全部 {rows} 行计算的。"
    ),
    "Step": "步骤",
    "First step": "第一步",
    "Previous step": "上一步",
    "Play": "播放",
    "Pause": "暂停",
    "Next step": "下一步",
    "Last step": "最后一步",
    # the page: answers
    "Which row is the most wrong?": "哪一行错得最多\uff1f",
    "Row {r}: its loss is {loss}.": "第 {r} 行：它的损失是 {loss}。",
    "None: the largest gradient of all parameters is {g}, which is as good as 0. From these rows, the "
    "network learns nothing: either it is right already, or its units are where their functions are "
    "flat.": (
        "没有：所有参数中最大的梯度是 {g}，几乎等于 0。网络从这些行学不到东西：要么它已经正"
        "确，要么它的神经元处在函数平坦的地方。"
    ),
    "{w} = {value}. No parameter has a larger gradient than {g}.": ("{w} = {value}。没有哪个参数的梯度比 {g} 更大。"),
    "It moves by {move}, to {new}. The move is the learning rate times a number that does not depend on "
    "it: with half the rate, it would move half as far, by {half}.": (
        "它移动 {move}，变为 {new}。移动量等于学习率乘以一个与学习率无关的数：学习率减半，移动也减半，为 {half}。"
    ),
    "Row {r}, by its weight: its loss is {loss}.": "按权重算是第 {r} 行：它的损失是 {loss}。",
    "Which parameter is most to blame for this loss?": "哪个参数对这个损失的责任最大\uff1f",
    "It moves by {move}, to {new}.": "它移动 {move}，变为 {new}。",
    "If it falls by a little, the loss falls by {size} times that.": ("如果它减小一点，损失减小这一点的 {size} 倍。"),
    "If it grows by a little, the loss falls by {size} times that.": ("如果它增大一点，损失减小这一点的 {size} 倍。"),
    "What does the step do to it?": "这一步对它做了什么\uff1f",
    "worked out for row {row}": "按第 {row} 行逐步算出",
    "What does the step do to it, and what if the learning rate were half as large?": (
        "这一步使它怎样变化\uff1f如果学习率减半呢\uff1f"
    ),
    "Which input does the loss depend on most?": "损失对哪个输入最敏感\uff1f",
    "{x}, the {name} of row {r}: its gradient is {g}.": "{x}，即第 {r} 行的 {name}：它的梯度是 {g}。",
    "{name}: {said}": "{name}：{said}",
    "{x}, number {j} of row {r}: its gradient is {g}.": "{x}，即第 {r} 行中编号为 {j} 的数：它的梯度是 {g}。",
    "How do I know that these numbers are right?": "怎么知道这些数字是对的\uff1f",
    "Each number was computed by the code that trains. Each gradient is compared with the slope of the loss between "
    "two values that are close to each other. And an example can be saved as a script that computes everything "
    "again.": (
        "每个数都由训练所用的代码算出。每个梯度都与损失在两个相近取值之间的斜率作比较。还可以把例子保存成脚本，"
        "把一切重新计算一遍。"
    ),
    # the page: gates
    "Gates: how a gradient comes back through one unit": "门单元：梯度怎样经过一个神经元传回",
    "This is one unit, for row {row}. Values go to the right; the gradient comes back from the loss, and each gate "
    "passes it on by a rule of its own.": (
        "这是一个神经元，用的是第 {row} 行。数值向右传；梯度从损失传回来，每个门单元按自己的规则把它继续往回传。"
    ),
    "{function}: a function scales": "{function}：函数缩放梯度",
    "A function scales what comes back by its slope: here dL/d{z} = {g}, where dL/d{y} = {h}. Where the function is "
    "flat, nothing comes through.": (
        "函数把传回的梯度乘以自己的导数：这里 dL/d{y} = {h}，于是 dL/d{z} = {g}。函数平坦的地方，没有梯度传过去。"
    ),
    "+: a sum distributes": "+：加法分配梯度",
    "Each term moves the sum by as much as it moves itself, so each gets the same gradient, {g}.": (
        "每个加数变化多少，和就变化多少，所以每个加数都得到同样的梯度 {g}。"
    ),
    "\u00d7: a product swaps": "\u00d7：乘法交换因子",
    "If one factor moves by a little, the product moves by the other factor times that. So each gets what came back "
    "times the other one: {w} gets {x} times {g}, which is {gw}, and {source} gets {v} times {g}, which is {gx}.": (
        "一个因子变化一点，乘积的变化就是这一点乘以另一个因子。所以每个因子得到传回的梯度乘以另一个因子："
        "{w} 得到 {x} 乘以 {g}，即 {gw}；{source} 得到 {v} 乘以 {g}，即 {gx}。"
    ),
    "A branch sums": "分支把梯度相加",
    "{w} is read in every row, so it reaches the loss in {rows} ways, and what comes back on all of them is added up: "
    "{terms} is about {total}, which is dL/d{w}.": (
        "每一行都用到 {w}，所以它有 {rows} 条路通到损失，各条路上传回的梯度相加：{terms} 约等于 {total}，"
        "这就是 dL/d{w}。"
    ),
    # the page: tables
    "Paths of {number} to the loss": "{number} 到损失的路径",
    "Central differences": "中心差分",
    "Of each of these {count} tensors, the largest difference is shown.": (
        "这 {count} 个张量，每个只列出差值最大的一个元素。"
    ),
    "entry": "元素",
    "value": "值",
    "L left": "左侧的 L",
    "L right": "右侧的 L",
    "slope": "斜率",
    "gradient": "梯度",
    "difference": "差值",
    "What the numbers depend on": "这些数字由什么决定",
    "samples are rows: z = x W + b, with W (inputs, outputs)": (
        "每行是一个样本：z = x W + b，其中 W 的形状是（输入，输出）"
    ),
    "kinks": "折点",
    "the derivative at a kink is that of its left side: for relu, it is 0 at 0": (
        "折点处的导数取左侧的导数：relu 在 0 处的导数是 0"
    ),
    "library": "程序库",
    # the page: all steps
    "step {n}": "第 {n} 步",
    "The formula of step {n}, {count} times: steps {steps}": "第 {n} 步的公式，用了 {count} 次：第 {steps} 步",
    "The formulas of steps {n}, for {count} further results: steps {steps}": (
        "第 {n} 步的公式，另外用于 {count} 个结果：第 {steps} 步"
    ),
    "Computed as in step": "算法同步骤",
    "shapes": "形状",
    "Not finite: this result holds NaN or infinity.": "非有限值：这个结果含有 NaN 或无穷大。",
    "the other entries: in the table of central differences": "其余元素见中心差分表",
    # the page: how to read it
    "what the pictures call dL/dW1": "图中写作 dL/dW1",
    "x transposed": "x 的转置",
    "multiplies entry by entry": "逐元素相乘",
    "a vector of ones, one for each row": "全 1 的向量，每行一个 1",
    "the digits shown are exact": "所示数字是精确的",
    "they are rounded": "所示数字经过舍入",
    "The arrow keys, Home and End change the step, and the space bar plays. Click a number to mark it everywhere. The "
    "address of the page keeps both.": (
        "方向键、Home 和 End 切换步骤，空格键播放。点击一个数，可在各处标出它。步骤和标出的数都保存在本页的网址中。"
    ),
    "here": "这里",
    "elsewhere": "别处",
    "what it is": "含义",
    # the pictures: what stands at columns, units and lines
    "row {row} of {rows}": "第 {row} 行，共 {rows} 行",
    "of {rows} rows": "共 {rows} 行",
    "{k} members": "{k} 个成员",
    "(unset)": "（未设定）",
    "off": "关闭",
    "without l2": "不含 L2 正则项",
    "t, class": "t，类别",
    "{n} more": "还有 {n} 个",
    "{gradient} returns": "{gradient} 传回",
    "a gradient returns": "梯度传回",
    "past {block}: {name}": "绕过 {block}：{name}",
    "{block}: {name} goes past the block, and {back}": "{block}：{name} 绕过这个块，{back}",
    # the pictures: what is read when one points at a number or a line
    "gradient {gradient}": "梯度 {gradient}",
    "{name} = {value}, gradient {gradient}": "{name} = {value}，梯度 {gradient}",
    "1, which the biases multiply": "1，与偏置相乘",
    "{one}; {other}": "{one}；{other}",
    "{said}; dropped": "{said}；已丢弃",
    "{about}; {share} of the gradient of {quantity} comes this way": (
        "{about}；{quantity} 的梯度中有 {share} 从这里传来"
    ),
    # the pictures: what their signs mean
    "square: bias": "方块：偏置",
    "dashed: negative weight": "虚线：负权重",
    "dashed, hollow: negative weight": "虚线、空心：负权重",
    "thick: large weight": "粗线：大权重",
    "thick, large: large weight": "粗线、大块：大权重",
    "thick: large share of the gradient": "粗线：在梯度中所占份额大",
    "fields in a row: weights that leave a unit": "一排方格：从一个神经元出去的权重",
    "band: mixes units": "底色带：混合各个神经元",
    "stack: mixes rows": "叠放：混合各行",
    "crossed, dashed: dropped": "打叉、虚线：已丢弃",
    "italics: gradient of the loss": "斜体：损失的梯度",
    "In focus: {about}.": "焦点：{about}。",
    # the pictures: what a screen reader says of them
    "A network of {sizes} units": "{sizes} 全连接网络",
    "A network of {sizes} units, an ensemble of {k} members": "由 {k} 个成员组成的 {sizes} 全连接网络",
    "Layers are columns from left to right; squares are biases, dashed lines are negative weights.": (
        "各层从左到右排成列；方块是偏置，虚线是负权重。"
    ),
    "The units of the members stand below each other.": "各个成员的神经元上下排列。",
    "Numbers at units are those of row {row} of {rows}; gradients of weights include all rows.": (
        "神经元处的数字是第 {row} 行的，共 {rows} 行；权重的梯度包含所有行。"
    ),
    "Of the {n} units of {layer}, {hidden} are not drawn.": "{layer} 的 {n} 个神经元中有 {hidden} 个没有画出。",
    "{names} are drawn as a matrix beside the units of {layer}.": "{names} 画成矩阵，排在 {layer} 的神经元旁边。",
    # the pictures: the computation, and the gates of a unit
    "loss: {name}": "损失：{name}",
    "parametric {function}": "带参数的 {function}",
    "waves, {kind}": "波，{kind}",
    "shares, {bins}": "份额，{bins}",
    "bends, {bins}": "弯折，{bins}",
    "1 bin": "1 个分箱",
    "{n} bins": "{n} 个分箱",
    "The computation of the loss in {n} steps": "分 {n} 步计算损失",
    "Boxes are operations from left to right; the value is above each line, and its gradient below.": (
        "方框是运算，从左到右；线的上方是数值，下方是它的梯度。"
    ),
    "above the arrows: values": "箭头上方：数值",
    "grey arrows: values, named above \u00b7 purple arrows: gradients of the loss, named below in italics": (
        "灰色箭头：数值，名称在上方 \u00b7 紫色箭头：损失的梯度，名称在下方，用斜体"
    ),
    "A unit as a circuit of gates": "一个神经元的门单元电路",
    "Each input is multiplied by its weight; the products and the bias are added. Values stand above the lines, and "
    "the gradients that come back below them, in italics.": (
        "每个输入乘以它的权重，各个乘积和偏置相加。数值在线的上方，传回的梯度在线的下方，用斜体。"
    ),
    "and {n} more products": "另有 {n} 个乘积",
}

_STEPS = {
    "The formula is not known: the numbers are those of the code.": "公式未知：数字取自程序的计算结果。",
    # Dense layers
    "Each unit multiplies its inputs by its weights, and adds up the products and its bias.": (
        "每个神经元把输入乘以权重，把乘积相加，再加上偏置。"
    ),
    "Each unit multiplies its inputs by its weights, and adds up the products.": (
        "每个神经元把输入乘以权重，再把乘积相加。"
    ),
    "Dividing by the root of the number of inputs makes weights of about 1 suitable for any width.": (
        "除以输入个数的平方根，这样无论多宽，大小约为 1 的权重都合适。"
    ),
    "A weight multiplies an input: its share is that input times the gradient of the unit it leads to. The transposed "
    "matrix makes the product sum these shares over the samples.": (
        "权重乘的是输入：它的那一份梯度等于该输入乘以它所连神经元的梯度。转置之后，矩阵乘积正好把所有样本的这些份额加"
        "起来。"
    ),
    "A bias is added in every sample, and a sum hands on its gradient: those of all samples are added.": (
        "偏置在每个样本里都加了一次，而加法把梯度原样传回：把所有样本的梯度相加。"
    ),
    "An input goes several ways, one through each unit, and the gradients of all ways are added: each is the gradient "
    "of "
    "a unit times the weight on the way.": (
        "一个输入有几条去路，每个神经元一条，各条路上传回的梯度相加：每一份是该神经元的梯度乘以路上的权重。"
    ),
    # ensembles
    "Each member m scales the inputs by an r of its own.": "每个成员 m 用自己的 r 缩放输入。",
    "The members have the weights in common, so that one product does for all of them.": (
        "所有成员共用这些权重，所以一次矩阵乘法就够了。"
    ),
    "Each member scales the sums by an s of its own.": "每个成员用自己的 s 缩放加权和。",
    "Each member scales the sums by an s of its own, and adds its bias.": (
        "每个成员用自己的 s 缩放加权和，再加上自己的偏置。"
    ),
    "Each member m has weights of its own, and adds up its inputs times these.": (
        "每个成员 m 有自己的权重，把输入乘以这些权重后相加。"
    ),
    "Each member adds its bias in every sample: the gradients of its samples are added.": (
        "每个成员在每个样本里都加上自己的偏置：把它的各个样本的梯度相加。"
    ),
    "s multiplies u: its gradient is u times that of the result, summed over the member's samples.": (
        "s 乘的是 u：它的梯度等于 u 乘以结果的梯度，对该成员的样本求和。"
    ),
    "All members use the weight, so its gradient sums their shares over the samples of all of them.": (
        "所有成员都用这个权重，所以它的梯度是所有成员、所有样本的份额之和。"
    ),
    "r multiplies x: its gradient is x times that of the product, summed over the member's samples.": (
        "r 乘的是 x：它的梯度等于 x 乘以乘积的梯度，对该成员的样本求和。"
    ),
    "As in a single network, for each member: its inputs times the gradients of its units, summed over its samples.": (
        "每个成员都和单个网络一样：输入乘以神经元的梯度，对它的样本求和。"
    ),
    "An input goes to every unit of each member, and the gradients of all of these ways are added.": (
        "一个输入连到每个成员的每个神经元，所有这些路上传回的梯度相加。"
    ),
    "An input goes to every unit of its member, and the gradients of all of these ways are added.": (
        "一个输入连到本成员的每个神经元，所有这些路上传回的梯度相加。"
    ),
    "An input goes to every member, and the gradients of all of them are added.": (
        "一个输入送往每个成员，所有成员传回的梯度相加。"
    ),
    "Each member m has its own.": "每个成员 m 各有自己的一份。",
    "Of each member, its own samples count.": "对每个成员，只计它自己的样本。",
    # dropout, residual blocks, scales
    "Dropout drops nothing outside training: the numbers go on as they are.": "训练之外不作随机丢弃：数字原样通过。",
    "Nothing was dropped: the gradient is the same.": "没有丢弃任何数：梯度不变。",
    "The mask m sets some numbers to 0, and scales up the others so that the mean stays about the same.": (
        "掩码 m 把一些数变成 0，把其余的数放大，使均值大致不变。"
    ),
    "A dropped number had no say, so no gradient comes back to it; the others were multiplied by m.": (
        "被丢弃的数没有起作用，所以没有梯度传回；其余的数乘过 m，梯度也乘以 m。"
    ),
    "The residual block ends: what came into it is added to what its layers have made of it.": (
        "残差块到此结束：把进入残差块的数加到各层算出的结果上。"
    ),
    "A sum hands its gradient on, unchanged, to each of its terms: here to both ways.": (
        "加法把梯度原样传给每个加数：这里传给两条路。"
    ),
    "The number goes past the block, too: what comes back on that way is added.": (
        "这个数还从旁路绕过了残差块：再加上旁路传回的梯度。"
    ),
    "Each input has a learned factor.": "每个输入有一个可学习的因子。",
    "In a product, each factor has the other one as its slope: s has x, summed over the samples.": (
        "乘积中每个因子的导数就是另一个因子：s 的导数是 x，对样本求和。"
    ),
    "In a product, each factor has the other one as its slope: x has s.": (
        "乘积中每个因子的导数就是另一个因子：x 的导数是 s。"
    ),
    "In a product, each factor has the other one as its slope: n has gamma.": (
        "乘积中每个因子的导数就是另一个因子：n 的导数是 gamma。"
    ),
    # normalisation
    "The mean of the numbers of each sample.": "每个样本各数的均值。",
    "The mean of each unit over the samples of the batch.": "每个神经元在这批样本上的均值。",
    "The variance of the numbers of each sample: the mean square of their distances from the mean.": (
        "每个样本各数的方差：与均值之差的平方的平均。"
    ),
    "The variance of each unit in the batch: the mean square of its distances from its mean.": (
        "每个神经元在这批样本上的方差：与均值之差的平方的平均。"
    ),
    "The mean of the squares of each sample.": "每个样本各数平方的均值。",
    "One over each sample's standard deviation; epsilon avoids a division by 0.": (
        "每个样本标准差的倒数；epsilon 避免除以 0。"
    ),
    "One over the root of each sample's mean square; epsilon avoids a division by 0.": (
        "每个样本均方根的倒数；epsilon 避免除以 0。"
    ),
    "One over each unit's standard deviation in the batch; epsilon avoids a division by 0.": (
        "每个神经元在这批样本上标准差的倒数；epsilon 避免除以 0。"
    ),
    "One over each unit's standard deviation, that of training; epsilon avoids a division by 0.": (
        "每个神经元在训练中得到的标准差的倒数；epsilon 避免除以 0。"
    ),
    "Each sample is normalised: its numbers have mean 0 and variance 1 now.": (
        "对每个样本作归一化：它的各数现在均值为 0，方差为 1。"
    ),
    "Each sample is divided by its root mean square; no mean is subtracted.": "每个样本除以自己的均方根；不减均值。",
    "Each unit is normalised: over the samples of the batch it has mean 0 and variance 1 now.": (
        "对每个神经元作归一化：在这批样本上，它现在均值为 0，方差为 1。"
    ),
    "Outside training, the running statistics stand in for those of the batch.": (
        "训练之外，用滑动统计量代替这批样本的统计量。"
    ),
    "The running mean moves a little towards that of the batch; predictions use it later.": (
        "滑动均值向这批样本的均值移动一点；以后预测时要用它。"
    ),
    "The running variance moves a little towards that of the batch, made unbiased by n / (n - 1).": (
        "滑动方差向这批样本的方差移动一点，后者乘以 n / (n - 1) 成为无偏估计。"
    ),
    "Each unit has two parameters, so that it can have any scale again: the gain gamma and the shift beta.": (
        "每个神经元有两个参数，让它重新取得合适的尺度：缩放 gamma 和平移 beta。"
    ),
    "Each unit has one parameter, so that it can have any scale again: the gain gamma.": (
        "每个神经元有一个参数，让它重新取得合适的尺度：缩放 gamma。"
    ),
    "gamma multiplies n, so its gradient is n times that of the product, summed over the samples.": (
        "gamma 乘的是 n，所以它的梯度等于 n 乘以乘积的梯度，对样本求和。"
    ),
    "beta is added in every sample, so its gradient is the sum over the samples.": (
        "beta 在每个样本里都加了一次，所以它的梯度是对样本求和。"
    ),
    "What a shift of all numbers of a sample would change: the normalisation takes it away.": (
        "一个样本的各数一起平移会带来的变化：归一化把它消去了。"
    ),
    "What a shift of all samples of a unit would change: the normalisation takes it away.": (
        "一个神经元的各样本一起平移会带来的变化：归一化把它消去了。"
    ),
    "What a stretch of all numbers of a sample would change: the normalisation takes it away.": (
        "一个样本的各数一起伸缩会带来的变化：归一化把它消去了。"
    ),
    "What a stretch of all samples of a unit would change: the normalisation takes it away.": (
        "一个神经元的各样本一起伸缩会带来的变化：归一化把它消去了。"
    ),
    "A number has two ways to L: by itself, and by the root mean square of its sample. What goes the second way is "
    "subtracted.": "一个数影响 L 有两条路：它自身，以及它所在样本的均方根。要减去第二条路的那一份。",
    "A number has three ways to L: by itself, by the mean and by the variance of its sample. What goes by these two is "
    "subtracted.": "一个数影响 L 有三条路：它自身，以及它所在样本的均值和方差。要减去后两条路的份额。",
    "A number has three ways to L: by itself, by the mean and by the variance of its unit in the batch. What goes by "
    "these "
    "two is subtracted.": (
        "一个数影响 L 有三条路：它自身，以及它所在神经元在这批样本上的均值和方差。要减去后两条路的份额。"
    ),
    "The running statistics are constants here, so that only the scale remains.": (
        "滑动统计量在这里是常数，所以只剩下缩放。"
    ),
    # activations
    "The chain rule: the gradient of the output, times the slope of the function.": (
        "链式法则：输出的梯度，乘以激活函数的导数。"
    ),
    "identity returns its input.": "恒等函数原样返回输入。",
    "Here that is 1.": "这里导数是 1。",
    "relu lets positive numbers through, and makes 0 of the others.": "relu 让正数通过，把其他数变成 0。",
    "A maximum routes: where the number came through, the gradient goes back through unchanged, and elsewhere nothing "
    "comes back. At 0 the slope is taken as 0.": (
        "取最大值就像一个开关：数通过的地方，梯度原样传回；别处没有梯度传回。在 0 处导数取 0。"
    ),
    "leaky_relu lets positive numbers through, and multiplies negative ones by a small slope.": (
        "leaky_relu 让正数通过，把负数乘以一个小的斜率。"
    ),
    "It is 1 above 0, and the small slope below, so that a unit never falls silent.": (
        "导数在 0 以上是 1，在 0 以下是那个小斜率，所以神经元不会完全失去作用。"
    ),
    "{name} leaves positive numbers linear, and bends negative ones towards a lower limit.": (
        "{name} 对正数是线性的，把负数弯向一个下限。"
    ),
    "Below 0 the slope is that of the exponential, which is y plus its limit.": (
        "0 以下的导数是指数函数的导数，等于 y 加上那个下限的大小。"
    ),
    "gelu multiplies each number by the share of a normal distribution that lies below it, Phi.": (
        "gelu 把每个数乘以正态分布中小于它的那部分概率 Phi。"
    ),
    "silu multiplies each number by its sigmoid: large ones come through, others fade out.": (
        "silu 把每个数乘以它的 sigmoid：大的数通过，其他的渐渐消失。"
    ),
    "mish multiplies each number by the tanh of its softplus.": "mish 把每个数乘以它的 softplus 的 tanh。",
    "It is that of a product: each factor's slope, times the other factor.": (
        "这是乘积的导数：每个因子的导数乘以另一个因子，再相加。"
    ),
    "The sigmoid is between 0 and 1.": "sigmoid 的值在 0 和 1 之间。",
    "The tanh of softplus is between 0 and 1.": "softplus 的 tanh 在 0 和 1 之间。",
    "softplus is a smooth form of relu.": "softplus 是光滑的 relu。",
    "It is the sigmoid, which rises from 0 to 1; written with the output, 1 - exp(-y).": (
        "导数就是 sigmoid，从 0 升到 1；用输出写出来是 1 - exp(-y)。"
    ),
    "sigmoid makes a number between 0 and 1 of any number: 1/2 of 0, near 1 of large ones.": (
        "sigmoid 把任何数变成 0 和 1 之间的数：0 变成 1/2，大的数接近 1。"
    ),
    "That of y = 1 / (1 + exp(-z)) is exp(-z) / (1 + exp(-z))^2, which is y times 1 - y. It is 1/4 at most, and near 0 "
    "where y is near 0 or 1: such a unit hardly learns.": (
        "y = 1 / (1 + exp(-z)) 的导数是 exp(-z) / (1 + exp(-z))^2，也就是 y 乘以 1 - y。它最大是 1/4，在 y 接近 0 或 "
        "1 时"
        "接近 0：这样的神经元几乎学不动。"
    ),
    "tanh makes a number between -1 and 1 of any number, and leaves small ones almost as they are.": (
        "tanh 把任何数变成 -1 和 1 之间的数，小的数几乎不变。"
    ),
    "It is 1 - y^2: 1 at 0, and near 0 where y is near -1 or 1, where such a unit hardly learns.": (
        "导数是 1 - y^2：在 0 处是 1，在 y 接近 -1 或 1 时接近 0，这样的神经元几乎学不动。"
    ),
    "The exponential is always positive.": "指数函数总是正的。",
    "It is its own slope.": "它的导数就是它自己。",
    "softmax makes shares that add up to 1: the exponential makes them positive, and they are divided by their sum. "
    "Subtracting the largest number changes no share, and avoids overflow.": (
        "softmax 给出相加为 1 的份额：取指数使它们为正，再除以它们的和。先减去最大的数不改变任何份额，还能避免溢出。"
    ),
    "Each share grows at the cost of the others: what counts is how far its gradient is from their mean.": (
        "一个份额变大，别的就变小：起作用的是它的梯度与平均值之差。"
    ),
    "Each unit learns how much of the activation it has: with a = 0 it is linear, with a = 1 it is the activation.": (
        "每个神经元自己学会用多少激活函数：a = 0 时是线性的，a = 1 时就是激活函数。"
    ),
    "a multiplies what the activation changes: that is its gradient, summed over the samples.": (
        "a 乘的是激活函数带来的改变：这就是它的导数，对样本求和。"
    ),
    "The number goes two ways: the linear part, and by the chain rule through the activation.": (
        "这个数走两条路：线性的部分，以及按链式法则通过激活函数的部分。"
    ),
    # what stands at the beginning of a network, and at its end
    "Each input has waves of its own frequencies; 6.28 is 2 pi, a whole turn.": (
        "每个输入有自己频率的波；6.28 是 2 pi，即一整圈。"
    ),
    "For each input j, a product of its own turns its waves into outputs.": (
        "对每个输入 j，用它自己的矩阵把波变成输出。"
    ),
    "For each input j, a product of its own turns its waves into outputs, of which none is below 0.": (
        "对每个输入 j，用它自己的矩阵把波变成输出，小于 0 的取 0。"
    ),
    "The outputs of all inputs stand side by side.": "各个输入的输出并排放在一起。",
    "The outputs of all inputs stand side by side, each behind the input itself.": (
        "各个输入的输出并排放在一起，每个都跟在该输入的后面。"
    ),
    "As in a Dense layer, for each input: its waves times the gradients of their outputs.": (
        "对每个输入都和全连接层一样：波乘以输出的梯度。"
    ),
    "A phase is added in every sample: its gradient is their sum.": (
        "相位在每个样本里都加了一次：它的梯度是对样本求和。"
    ),
    "A frequency multiplies the input: its gradient is the input times that of the angle.": (
        "频率乘的是输入：它的梯度等于输入乘以角度的梯度。"
    ),
    "An input turns all of its waves, each by its frequency; the gradients of all of them are added.": (
        "一个输入转动自己的所有波，各按自己的频率；所有波传回的梯度相加。"
    ),
    "It is an output itself, too.": "它本身也是一个输出。",
    "How much of each bin of its input lies below x, from 0 to 1; the first and the last bin go on.": (
        "该输入的每个分箱有多大部分在 x 以下，从 0 到 1；第一个和最后一个分箱向外延伸。"
    ),
    "A change of x moves the share of the bin in which it lies, and of no other.": (
        "x 变化时，只有它所在分箱的份额跟着变化。"
    ),
    "A change of x moves the share of the bin in which it lies, and moves along the line.": (
        "x 变化时，它所在分箱的份额跟着变化，同时沿直线移动。"
    ),
    "after and until are left and right, but the first and the last bin go on.": (
        "after 和 until 就是 left 和 right，只是第一个和最后一个分箱向外延伸。"
    ),
    "For each input j, a line with the slopes w, which bends at the edges of the bins by its W.": (
        "对每个输入 j，是一条斜率为 w 的直线，在分箱的边界按 W 弯折。"
    ),
    "As in a Dense layer, for each input: the shares of its bins times the gradients of its outputs.": (
        "对每个输入都和全连接层一样：分箱的份额乘以输出的梯度。"
    ),
    "w multiplies the input: its gradient is the input times that of the output, summed.": (
        "w 乘的是输入：它的梯度等于输入乘以输出的梯度，再求和。"
    ),
    "Each input is centred and scaled by constants of the data, which training does not change.": (
        "用数据的常数把每个输入中心化并缩放；训练不改变这些常数。"
    ),
    "A missing value counts as the mean.": "缺失值按均值计。",
    "It is near 1, and grows where d is far from 0.": "它接近 1，在 d 远离 0 处变大。",
    "The smooth clip: near 0 it changes nothing, and no result is farther from 0 than 3.": (
        "光滑截断：在 0 附近什么都不改变，任何结果离 0 不超过 3。"
    ),
    "Beside the values stand the indicators: 1 where a value is missing.": "数值旁边是缺失指示：缺失处为 1。",
    "A change of an input is a change of its standardised value, divided by the scale.": (
        "输入的变化除以尺度，就是标准化后的变化。"
    ),
    "The slope of the smooth clip is 1 / h^3.": "光滑截断的导数是 1 / h^3。",
    "A missing value has no gradient.": "缺失值没有梯度。",
    "The unit of the level that the code stands for is 1, and the others are 0.": (
        "编码所代表的类别对应的神经元为 1，其余为 0。"
    ),
    "A code is no quantity: it has no gradient.": "编码不是数量：它没有梯度。",
    "A code is the number of its level's weights; unknown levels have the last ones.": (
        "编码是该类别的权重的编号；未知类别用最后一组。"
    ),
    "The weights of the level that the code chooses: a product with ones and zeros.": (
        "编码所选类别的权重：与由 1 和 0 组成的矩阵相乘。"
    ),
    "The weights of a level have the sum of the gradients of the samples that chose it.": (
        "一个类别的权重的梯度，是选中它的各样本的梯度之和。"
    ),
    "The part reads these inputs, as they are given.": "这一部分按原样读取这些输入。",
    "The inputs that a part reads have its gradient; it has none for the others.": (
        "这一部分读取的输入得到它的梯度；其他输入没有。"
    ),
    "The outputs of the parts, side by side.": "各部分的输出，并排放在一起。",
    "Each part has the gradient of its own outputs.": "每一部分得到自己的输出的梯度。",
    "Constants of the data bring each output to the unit of the targets; training does not change them.": (
        "用数据的常数把每个输出换算到目标的单位；训练不改变这些常数。"
    ),
    "A change of the value is a change of the result, multiplied by the scale.": "数值的变化乘以尺度，就是结果的变化。",
    # losses
    "The squares of the errors are added up. The factor 1/2 is there so that the slope is simple.": (
        "把误差的平方相加。乘以 1/2 是为了让导数简单。"
    ),
    "The slope of half a square is the error itself: how far the output is from the target, and which way.": (
        "平方的一半的导数就是误差本身：输出离目标有多远，偏向哪一边。"
    ),
    "The mean of the squared errors over the k outputs.": "k 个输出的误差平方的平均。",
    "The slope of a square is twice the error: how far the output is from the target, and which way.": (
        "平方的导数是误差的两倍：输出离目标有多远，偏向哪一边。"
    ),
    "The sum of the absolute errors: each counts as much as it is large.": "误差绝对值之和：误差多大，就计多大。",
    "The slope is the sign of the error: it says which way, and is the same however far the target is.": (
        "导数是误差的符号：只说明偏向哪一边，无论目标有多远都一样。"
    ),
    "r is the error of each output.": "r 是每个输出的误差。",
    "Half the squared error up to delta, and linear beyond, so that outliers count less.": (
        "误差不超过 delta 时是平方的一半，超过时是线性的，这样离群点的影响较小。"
    ),
    "The slope is the error, limited to the range from -delta to delta.": "导数是误差，限制在 -delta 到 delta 之间。",
    "An output below its target costs q of the distance, one above it 1 - q.": (
        "输出低于目标时，代价是距离的 q 倍；高于目标时是 1 - q 倍。"
    ),
    "The slope is -q below the target, and 1 - q above it.": "导数在目标以下是 -q，在目标以上是 1 - q。",
    "The outputs are logarithms of rates; the loss is minus the log-likelihood of the counts, without a constant.": (
        "输出是发生率的对数；损失是计数的负对数似然，不含常数项。"
    ),
    "The slope is the rate minus the count: by how much the rate is off.": "导数是发生率减去计数：发生率差了多少。",
    "Minus the logarithm of the probability of the right answer: 0 if that is 1, and the larger the smaller it is.": (
        "正确答案的概率的负对数：概率是 1 时为 0，概率越小，损失越大。"
    ),
    "Sigmoid and logarithm together have a simple slope: the probability minus the target, by how much it is off.": (
        "sigmoid 和对数合在一起，导数很简单：概率减去目标，即概率差了多少。"
    ),
    "Training moves the targets towards 1/2 by label_smoothing. The loss is the cross-entropy with these.": (
        "训练时按 label_smoothing 把目标向 1/2 移动。损失是与这些目标的交叉熵。"
    ),
    "Sigmoid and logarithm together have a simple slope: probability minus smoothed target.": (
        "sigmoid 和对数合在一起，导数很简单：概率减去平滑后的目标。"
    ),
    "e says how far each wrong class is within the margin of 1 below the right one.": (
        "e 表示每个错误类别离正确类别不足间隔 1 的量。"
    ),
    "The sum over the wrong classes within the margin.": "对间隔之内的错误类别求和。",
    "The slope is 1 for each wrong class within the margin, and minus their number for the right class.": (
        "间隔之内的每个错误类别的导数是 1，正确类别的导数是它们个数的相反数。"
    ),
    "softmax makes probabilities of the outputs: the exponential makes them positive, and dividing by their sum makes "
    "them add up to 1. Subtracting the largest changes nothing, and avoids overflow.": (
        "softmax 把输出变成概率：取指数使它们为正，除以它们的和使它们相加为 1。先减去最大的数不改变结果，还能避免溢出。"
    ),
    "Minus the logarithm of the probability of the right class: 0 if that is 1, and the larger the smaller it is.": (
        "正确类别的概率的负对数：概率是 1 时为 0，概率越小，损失越大。"
    ),
    "Softmax and logarithm together have a simple slope: the probability minus the target. The right class is pulled "
    "up "
    "by what it lacks, the others are pushed down by what they have.": (
        "softmax 和对数合在一起，导数很简单：概率减去目标。正确类别缺多少就往上拉多少，其他类别有多少就往下推多少。"
    ),
    "Training takes label_smoothing of each target away, and spreads it evenly over the k classes. The loss is minus "
    "the "
    "sum of these targets times the logarithms of the probabilities.": (
        "训练时从每个目标中取走 label_smoothing，平均分给 k 个类别。损失是这些目标乘以概率的对数之和的相反数。"
    ),
    "Softmax and logarithm together have a simple slope: probability minus smoothed target.": (
        "softmax 和对数合在一起，导数很简单：概率减去平滑后的目标。"
    ),
    "The terms e of the loss are added up.": "把损失的各项 e 相加。",
    "1 / {n} makes it the mean over the {n} samples.": "乘以 1 / {n}，成为 {n} 个样本的平均。",
    "Of the mean over {n} samples, each has 1 / {n}.": "在 {n} 个样本的平均中，每个样本占 1 / {n}。",
    "Each sample counts with its weight w; the weights add up to 1.": "每个样本按自己的权重 w 计；权重之和为 1。",
    "It counts with the weight of the sample.": "它按样本的权重计。",
    "The weight includes that of the class.": "权重中包含类别的权重。",
    "E is the loss without the L2 term, which is l2 / 2 times the sum of the squares of all weights: large weights "
    "cost "
    "something, too.": ("E 是不含 L2 正则项的损失；正则项等于 l2 / 2 乘以所有权重的平方和：权重大也要付出代价。"),
    "The slope of l2 / 2 times the square of a weight is l2 times the weight: it pulls towards 0.": (
        "l2 / 2 乘以权重平方的导数是 l2 乘以权重：它把权重拉向 0。"
    ),
    # optimizers
    "The gradient says where L grows, so that the step goes the other way. The learning rate lr says how far: if it "
    "is too "
    "small, learning is slow; if it is too large, the step jumps over the minimum.": (
        "梯度指向 L 增大的方向，所以往相反的方向走一步。学习率 lr 决定走多远：太小则学得慢，太大则会越过最小值。"
    ),
    "The velocity v keeps a part, momentum, of what it was, and adds the gradient: ways that agree add up, those that "
    "alternate cancel out.": (
        "速度 v 保留原来的一部分（动量 momentum），再加上梯度：方向一致的累积起来，来回变号的互相抵消。"
    ),
    "The step is the learning rate times the velocity, against it.": "步长是学习率乘以速度，方向相反。",
    "As with momentum, but the gradient is added once more, as if the next step were made already.": (
        "和动量法一样，但把梯度再加一次，好像下一步已经走了。"
    ),
    "v is a running mean of the squared gradient: how large the gradients of this number usually are.": (
        "v 是梯度平方的滑动平均：这个数的梯度通常有多大。"
    ),
    "The step goes against the gradient, divided by the root of v: where gradients are usually large, it is shorter.": (
        "逆着梯度走一步，再除以 v 的平方根：梯度通常大的地方，步子就小。"
    ),
    "m is a running mean of the gradient, of which it keeps beta1: what changes from step to step cancels out.": (
        "m 是梯度的滑动平均，每次保留 beta1：各步之间变来变去的部分互相抵消。"
    ),
    "The step goes against m, divided by the root of v: each number moves by about lr, however large its gradients "
    "are. "
    "Dividing by 1 - beta^steps makes up for the start of m and v at 0; epsilon avoids a division by 0.": (
        "逆着 m 走一步，除以 v 的平方根：无论梯度多大，每个数大约移动 lr。除以 1 - beta^steps 是为了补偿 m 和 v 从 0 "
        "开始；"
        "epsilon 避免除以 0。"
    ),
    "Weight decay makes the weight a little smaller first, by lr times weight_decay.": (
        "先由权重衰减把权重缩小一点，缩小的比例是 lr 乘以 weight_decay。"
    ),
    "Each member m has a matrix of its own.": "每个成员 m 有自己的矩阵。",
    "Divided by its norm, the root of the sum of its squares, it has no singular value above 1.": (
        "除以它的范数（平方和的平方根）之后，没有大于 1 的奇异值。"
    ),
    "The products of each two of its rows.": "它的每两行的内积。",
    "The products of each two of its columns.": "它的每两列的内积。",
    "A polynomial of this matrix.": "这个矩阵的一个多项式。",
    "Each singular value s becomes 3.4445 s - 4.775 s^3 + 2.0315 s^5: small ones grow, none gets far above 1.": (
        "每个奇异值 s 变成 3.4445 s - 4.775 s^3 + 2.0315 s^5：小的变大，没有一个远大于 1。"
    ),
    "The step has about the same length in every direction: lr, times the root of n_out / n_in if that is above 1.": (
        "这一步在每个方向上长度大致相同：lr，如果 n_out / n_in 的平方根大于 1，再乘以它。"
    ),
    "Its learning-rate factor is 0: it stays as it is.": "它的学习率因子是 0：保持不变。",
}

CHINESE = {**_WORDS, **_STEPS}
